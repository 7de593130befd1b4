// SPDX-License-Identifier: MIT
// node_timers.js fired | cancelled | pending COUNT [OPERATIONS]
const [scenario, count, operations] = [process.argv[2], +process.argv[3], +process.argv[4]];
const BATCH = 1000;
let start;

function nothing() {}

function random() {
  return 1000000 + Math.floor(Math.random() * 1000000);
}

function cpu() {
  const usage = process.cpuUsage();
  return (usage.user + usage.system) / 1e6;
}

function finish(done) {
  console.log(`count=${done} cpu=${(cpu() - start).toFixed(6)}`);
  process.exit(0);
}

const scenarios = {
  fired() {
    let left = count;
    const fire = () => {
      if (--left === 0) finish(count);
    };
    start = cpu();
    for (let i = 0; i < count; i++) setTimeout(fire, (i * 7919) % 100);
  },

  cancelled() {
    const timers = [];
    start = cpu();
    for (let i = 0; i < count; i++) timers.push(setTimeout(nothing, 10000 + ((i * 7919) % 100)));
    for (const timer of timers) clearTimeout(timer);
    finish(count);
  },

  pending() {
    let done = 0;
    const turn = () => {
      for (let i = 0; i < BATCH; i++) clearTimeout(setTimeout(nothing, random()));
      done += BATCH;
      if (done >= operations) finish(done);
      setImmediate(turn);
    };
    for (let i = 0; i < count; i++) setTimeout(nothing, random());
    start = cpu();
    setImmediate(turn);
  },
};

scenarios[scenario]();
