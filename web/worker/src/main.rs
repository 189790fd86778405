//! The page's worker: the model in a browser, on the GPU through WebGPU or on the CPU. It does what [`steady_protocol`] says.

mod desk;
mod disk;
mod download;
mod engine;
mod memory;
mod own;
mod port;
mod scope;
mod wanted;

use std::panic;

use steady_protocol::{Request, Response, decode};
use wasm_bindgen_futures::spawn_local;

use desk::Desk;
use port::Incoming;

fn main() {
    // A panic ends the program where it stands; the page should at least hear of it.
    panic::set_hook(Box::new(|panic| {
        port::send(&Response::Failed(format!("the worker stopped, which is a defect of this program: {panic}")));
    }));
    let requests = port::listen();
    spawn_local(async move {
        let mut desk = Desk::default();
        while let Ok(Incoming { bytes, files }) = requests.recv().await {
            let outcome = match decode(&bytes) {
                Ok(Request::Study(study)) => desk.study(study, files).await,
                Ok(Request::Ask(ask)) => desk.ask(ask, files).await,
                Ok(Request::Look(own)) => desk.look(&own, files),
                Ok(Request::Show(picture)) => {
                    desk.show(&picture);
                    Ok(())
                }
                Err(misunderstood) => Err(misunderstood.into()),
            };
            if let Err(error) = outcome {
                port::send(&Response::Failed(error.to_string()));
            }
        }
    });
}
