// Keeps the page, so that a second visit works without a network. A service worker.
//
// Every file of a build but the page itself has its hash in its name, and the page names the files it is made of. So whoever has the page of a build and the
// files that it names has that build and no other: what is kept is never mixed with what a server has by now. Programs and models are kept by the workers
// themselves when they are first started (worker.js, web/worker/src/download.rs); here they are only found again.

// `cargo xtask web build` puts the build's files here. This file is then another one for each build, which is how a browser learns of a new one.
const SHELL = [];
const VERSION = "";

const KEPT = `steady-page-${VERSION}`;
// What the programs in workers are made of, each file by its hash.
const PROGRAMS = ["steady-worker", "steady-parquet"];

self.addEventListener("install", (event) => {
  // all of them or none
  event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll(SHELL)));
});

// A browser activates a new version when no page of the old one is open, so nobody misses what is thrown away here.
self.addEventListener("activate", (event) => {
  const old = (name) => name.startsWith("steady-page-") && name !== KEPT;
  const clean = async () => {
    const names = await caches.keys();
    await Promise.all(names.filter(old).map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(clean());
});

const kept = async (request, where) => (await caches.open(where)).match(request);

// The page comes from the server where there is one, so that it is never older than a link that it is to open.
const page = async (request) => {
  try {
    return await fetch(request);
  } catch (unreachable) {
    const found = await kept("./", KEPT);
    if (found) return found;
    throw unreachable;
  }
};

const file = async (request) => {
  for (const where of [KEPT, ...PROGRAMS]) {
    const found = await kept(request, where);
    if (found) return found;
  }
  return fetch(request);
};

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const ours = request.method === "GET" && request.url.startsWith(self.registration.scope);
  if (ours) event.respondWith(request.mode === "navigate" ? page(request) : file(request));
});
