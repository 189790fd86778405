const program = document.querySelector("meta[name=program]");
const here = (path) => new URL(path, document.baseURI);
try {
  const { default: init } = await import(here(program.content));
  await init({ module_or_path: here(program.dataset.wasm) });
} catch (error) {
  const message = document.createElement("p");
  message.setAttribute("role", "alert");
  message.textContent = `The page could not start: ${error}. It needs a browser with WebAssembly.`;
  document.body.prepend(message);
  throw error;
}
// Keeps the page for when there is no network. Browsers that have none, or that forbid it here, show the page all the same.
if (navigator.serviceWorker && document.querySelector("meta[name=offline]")) {
  navigator.serviceWorker.register(here("offline.js")).catch((error) => console.warn(`not kept for later: ${error}`));
}
