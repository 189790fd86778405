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
