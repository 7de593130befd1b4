// SPDX-License-Identifier: MIT
// deferred.js -- the rows of deferred.lua in promises. A promise runs its callbacks in a later
// microtask, never at once, so these are not quite the same thing.
// Usage: node scripts/benchmarks/deferred/deferred.js [seconds a row]
'use strict';

const seconds = Number(process.argv[2] || 0.5);
const BATCH = 1000;

async function row(name, f) {
  let best = 0;
  await f(BATCH);
  for (let round = 0; round < 3; round++) {
    const start = process.cpuUsage();
    let done = 0, used = 0;
    while (used < seconds / 3) {
      await f(BATCH);
      done += BATCH;
      const now = process.cpuUsage(start);
      used = (now.user + now.system) / 1e6;
    }
    best = Math.max(best, done / used);
  }
  console.log(`${name}\t${best.toPrecision(4)}`);
}

const ignore = (value) => value;
const fault = () => { throw new Error('fault'); };

function make() {
  let resolve;
  const promise = new Promise((f) => { resolve = f; });
  return { promise, resolve };
}

async function fired(count) {
  let last;
  for (let i = 0; i < count; i++) {
    const { promise, resolve } = make();
    last = promise.then(ignore).then(ignore);
    resolve(i);
  }
  await last;
}

async function failing(count) {
  let last;
  for (let i = 0; i < count; i++) {
    const { promise, resolve } = make();
    last = promise.then(fault).catch(ignore);
    resolve(i);
  }
  await last;
}

async function awaitFired(count) {
  const promise = Promise.resolve(1);
  for (let i = 0; i < count; i++) await promise;
}

async function awaitPending(count) {
  for (let i = 0; i < count; i++) {
    const { promise, resolve } = make();
    queueMicrotask(() => resolve(i));
    await promise;
  }
}

(async () => {
  await row('made, 2 callbacks, fired /s', fired);
  await row('raised and handled /s', failing);
  await row('await of a fired one /s', awaitFired);
  await row('await of a pending one /s', awaitPending);
})();
