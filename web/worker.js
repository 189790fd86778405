// Starts a program of the page in a worker: the model's, or the one that writes Parquet. The first word behind the question mark of this file's address names it.
// Trunk gives a worker's files no hash in their names; what follows that word is one for all of them.
const [name] = location.search.slice(1).split("&");
const beside = (file) => new URL(file + location.search, location).href;
const program = beside(`${name}_bg.wasm`);
const glue = beside(`${name}.js`);

// What a worker is made of is kept, so that it starts without a network next time (offline.js finds it). A browser that keeps nothing starts it all the same.
const cache = await self.caches?.open(name).catch(() => undefined);
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
