// client.mjs -- client.mjs URL COUNT CONNECTIONS, by undici: its request, which is quicker than fetch, where
// the package is installed, else the fetch that is built in.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const [url, count, connections] = [process.argv[2], +process.argv[3], +process.argv[4]];

let get = async () => (await (await fetch(url)).text()).length;
try {
  const undici = require("undici");
  const pool = new undici.Pool(new URL(url).origin, { connections, pipelining: 1 });
  get = async () => (await (await pool.request({ path: "/", method: "GET" })).body.text()).length;
} catch {}

async function run(requests) {
  let left = requests;
  const worker = async () => {
    while (left > 0) {
      left--;
      if ((await get()) !== 13) throw new Error("not 13 bytes");
    }
  };
  await Promise.all(Array.from({ length: connections }, worker));
}

await run(1000);
const before = process.cpuUsage();
await run(count);
const used = process.cpuUsage(before);
console.log(`requests=${count} cpu=${((used.user + used.system) / 1e6).toFixed(3)}`);
process.exit(0);
