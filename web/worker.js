// Trunk gives a worker's files no hash in their names; what is behind the question mark of this file's address is one for all of them.
const beside = (name) => new URL(name + location.search, location).href;
const program = beside("steady-worker_bg.wasm");
const glue = beside("steady-worker.js");

// What the worker is made of is kept, so that it starts without a network next time (offline.js finds it). A browser that keeps nothing starts it all the same.
const cache = await self.caches?.open("steady-worker").catch(() => undefined);
const answered = await fetch(program);
const copy = answered.ok ? answered.clone() : undefined;
const { default: init } = await import(glue);
await init({ module_or_path: answered });

const keep = async () => {
  const files = [location.href, glue, program];
  const older = (await cache.keys()).map((request) => request.url).filter((url) => !files.includes(url));
  await Promise.all(older.map((url) => cache.delete(url)));
  const kept = (await cache.keys()).map((request) => request.url);
  if (copy && !kept.includes(program)) await cache.put(program, copy);
  await cache.addAll([location.href, glue].filter((url) => !kept.includes(url)));
};
// without room the next visit fetches it again
if (cache) await keep().catch(() => undefined);
