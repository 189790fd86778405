// Trunk gives a worker's files no hash in their names; what is behind the question mark of this file's address is one for all of them.
const beside = (name) => new URL(name + location.search, location);
const { default: init } = await import(beside("steady-worker.js"));
await init({ module_or_path: beside("steady-worker_bg.wasm") });
