//! Kernels compiled side by side in a browser, which wgpu does not ask for.
//!
//! wgpu calls `createComputePipeline`, and a browser works through those one after another, in the thread that also takes its uploads.
//! `createComputePipelineAsync` compiles on several threads beside them. A device compiles the same kernel once: what was compiled here is there
//! when wgpu asks for it. (WebGPU promises no such thing. Dawn, which Chromium runs, keeps compiled pipelines by their content as long as
//! somebody holds them; a browser that does not compiles a kernel twice, and is none the worse for it but in time.)
//!
//! wgpu shows nobody the device that it opened. So it is noted where the browser hands it out.

use std::cell::{Cell, RefCell};

use js_sys::{Array, Function, Object, Promise, Reflect};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::{JsFuture, future_to_promise};

use crate::Kernel;

thread_local! {
    static NOTED: RefCell<Option<JsValue>> = const { RefCell::new(None) };
    static LISTENS: Cell<bool> = const { Cell::new(false) };
}

/// A device as the browser knows it.
#[derive(Clone, Debug)]
pub(crate) struct BrowserDevice(SendWrapper<JsValue>);

/// A kernel that the browser compiles.
pub(crate) type Compiling = SendWrapper<JsFuture>;

/// From now on this thread notes which device the browser hands out. It is to be called before wgpu asks for an adapter.
pub(crate) fn listen() {
    if !LISTENS.replace(true) {
        let gpu = get(&get(&js_sys::global(), "navigator"), "gpu");
        let device = |device: &JsValue| NOTED.set(Some(device.clone()));
        let adapter = move |adapter: &JsValue| overhear(adapter, "requestDevice", device);
        overhear(&gpu, "requestAdapter", adapter);
    }
}

impl BrowserDevice {
    /// The one that the browser handed out last, if this thread [listened](listen).
    pub(crate) fn last() -> Option<Self> {
        NOTED.take().map(|device| Self(SendWrapper::new(device)))
    }

    /// Begins to compile `kernel`. The result stays with the browser while the future is held. `None` where the browser has no such call.
    pub(crate) fn compile(&self, kernel: &Kernel) -> Option<Compiling> {
        let bindings = kernel.bindings().map(|(binding, ty, has_dynamic_offset)| {
            let ty = match ty {
                wgpu::BufferBindingType::Uniform => "uniform",
                wgpu::BufferBindingType::Storage { read_only: true } => "read-only-storage",
                wgpu::BufferBindingType::Storage { read_only: false } => "storage",
            };
            let buffer = object(&[("type", ty.into()), ("hasDynamicOffset", has_dynamic_offset.into())]);
            let visibility = wgpu::ShaderStages::COMPUTE.bits();
            object(&[("binding", binding.into()), ("visibility", visibility.into()), ("buffer", buffer)])
        });
        let group = self.call("createBindGroupLayout", &object(&[("entries", bindings.collect::<Array>().into())]))?;
        let layout = self.call("createPipelineLayout", &object(&[("bindGroupLayouts", Array::of1(&group).into())]))?;
        let module = self.call("createShaderModule", &object(&[("code", kernel.text().into())]))?;
        let compute = object(&[("module", module), ("entryPoint", "main".into())]);
        let pipeline = self.call("createComputePipelineAsync", &object(&[("layout", layout), ("compute", compute)]))?;
        Some(SendWrapper::new(JsFuture::from(pipeline.dyn_into::<Promise>().ok()?)))
    }

    fn call(&self, method: &str, argument: &JsValue) -> Option<JsValue> {
        get(&self.0, method).dyn_into::<Function>().ok()?.call1(&self.0, argument).ok()
    }
}

/// Has `heard` told what the promises of `object.method(options)` come to, each before whoever asked.
fn overhear(object: &JsValue, method: &str, heard: impl Fn(&JsValue) + Copy + 'static) {
    // wgpu finds out by itself where there is no such call.
    let Ok(original) = get(object, method).dyn_into::<Function>() else { return };
    let this = object.clone();
    let hook = Closure::<dyn Fn(JsValue) -> Promise>::new(move |options: JsValue| {
        let promise = original.call1(&this, &options);
        future_to_promise(async move {
            let given = JsFuture::from(Promise::resolve(&promise?)).await?;
            if given.is_object() {
                heard(&given);
            }
            Ok(given)
        })
    });
    // A browser that minds goes on unheard: its kernels are compiled when wgpu asks for them.
    Reflect::set(object, &method.into(), &hook.into_js_value()).unwrap_or_default();
}

/// A property; undefined where there is none.
fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or(JsValue::UNDEFINED)
}

fn object(fields: &[(&str, JsValue)]) -> JsValue {
    let object = Object::new();
    for (name, value) in fields {
        // An object of ours takes any property.
        Reflect::set(&object, &(*name).into(), value).unwrap_or_default();
    }
    object.into()
}
