//! What computes, and why it and no other.

use anyhow::{Result, anyhow};
use js_sys::{Function, Object, Promise, Reflect};
use steady_protocol::{Engine, EngineChoice};
use steady_vlm::{DeviceChoice, Faster, OpenDevice, Pace, Precision, Work, open_webgpu};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::scope::{before, scope};

/// A device that answers can be computed on.
#[derive(Clone)]
pub(crate) struct OpenEngine {
    pub(crate) device: OpenDevice,
    pub(crate) precision: Precision,
    pub(crate) reason: String,
}

/// The devices of this worker. The GPU is opened once, so that its kernels are compiled once.
#[derive(Default)]
pub(crate) struct Engines {
    gpu: Option<OpenDevice>,
}

/// Milliseconds after which a trial of the GPU is given up: a visitor waits for it.
const PATIENCE: i32 = 3000;

/// What the browser says about its GPU.
struct Adapter {
    name: String,
    /// The CPU in disguise.
    software: bool,
}

impl OpenEngine {
    /// As the page shows it.
    pub(crate) fn engine(&self) -> Engine {
        Engine { device: self.device.identity.clone(), dtype: self.precision.to_string(), reason: self.reason.clone() }
    }
}

impl Engines {
    /// Opens what `choice` asks for. Where it is automatic that is the device that `work` was begun on, or else the one that is done with it first.
    pub(crate) async fn open(&mut self, choice: EngineChoice, begun: Option<&str>, work: &Work) -> Result<OpenEngine> {
        match choice {
            EngineChoice::Cpu => cpu("it was chosen".to_owned()),
            EngineChoice::WebGpu => {
                let adapter = adapter().await.map_err(|reason| anyhow!("WebGPU was chosen, but {reason}; choose the CPU"))?;
                let reason =
                    if adapter.software { "it was chosen; this adapter is software, which the CPU outruns" } else { "it was chosen" };
                self.gpu(&adapter, reason.to_owned()).await
            }
            EngineChoice::Auto => self.faster(begun, work).await,
        }
    }

    async fn faster(&mut self, begun: Option<&str>, work: &Work) -> Result<OpenEngine> {
        const BEGUN: &str = "the study began there";
        let here = DeviceChoice::Cpu.open()?;
        if begun == Some(here.identity.as_str()) {
            return cpu(BEGUN.to_owned());
        }
        let on_cpu = Pace::measure(&here.device).await?;
        if begun.is_none() && on_cpu.makes_short_work_of(work) {
            return cpu(Faster::cpu_at_once(&on_cpu, work).reason);
        }
        let adapter = match adapter().await {
            Ok(adapter) if adapter.software => {
                return cpu(format!("WebGPU offers a software adapter alone ({}), which the CPU outruns", adapter.name));
            }
            Ok(adapter) => adapter,
            Err(reason) => return cpu(reason),
        };
        let mut opened = match self.gpu(&adapter, BEGUN.to_owned()).await {
            Ok(opened) => opened,
            Err(error) => return cpu(error.to_string()),
        };
        if begun == Some(opened.device.identity.as_str()) {
            return Ok(opened);
        }
        let faster = match before(PATIENCE, Pace::measure(&opened.device.device)).await {
            None => return cpu(format!("the GPU ({}) did not get through a short trial in {} s", adapter.name, PATIENCE / 1000)),
            Some(Err(error)) => return cpu(format!("the GPU ({}) fails: {error}", adapter.name)),
            Some(Ok(on_gpu)) => Faster::of(&on_cpu, &on_gpu, work),
        };
        if !faster.gpu {
            return cpu(faster.reason);
        }
        opened.reason = faster.reason;
        Ok(opened)
    }

    async fn gpu(&mut self, adapter: &Adapter, reason: String) -> Result<OpenEngine> {
        let device = match &self.gpu {
            Some(device) => device.clone(),
            None => self.gpu.insert(open_webgpu(&adapter.name).await?).clone(),
        };
        Ok(OpenEngine { device, precision: Precision::F16, reason })
    }
}

fn cpu(reason: String) -> Result<OpenEngine> {
    Ok(OpenEngine { device: DeviceChoice::Cpu.open()?, precision: Precision::F32, reason })
}

/// The adapter that WebGPU would give, or why there is none. Asked without bindings: they are behind a compiler flag, and what is asked is little.
async fn adapter() -> Result<Adapter, String> {
    let gpu = get(&scope().navigator(), "gpu");
    if gpu.is_falsy() {
        return Err("this browser has no WebGPU".to_owned());
    }
    let none = |_| "the browser offers no GPU through WebGPU".to_owned();
    let options = Object::new();
    Reflect::set(&options, &"powerPreference".into(), &"high-performance".into()).map_err(none)?;
    let request: Function = get(&gpu, "requestAdapter").dyn_into().map_err(none)?;
    let promise: Promise = request.call1(&gpu, &options).map_err(none)?.dyn_into().map_err(none)?;
    let adapter = JsFuture::from(promise).await.map_err(none)?;
    if adapter.is_falsy() {
        return Err(none(JsValue::NULL));
    }
    let info = get(&adapter, "info");
    let mut words: Vec<String> = Vec::new();
    for word in ["vendor", "architecture", "device", "description"].into_iter().filter_map(|field| get(&info, field).as_string()) {
        if !word.is_empty() && !words.contains(&word) {
            words.push(word);
        }
    }
    let software = get(&info, "isFallbackAdapter").is_truthy()
        || get(&adapter, "isFallbackAdapter").is_truthy()
        || words.iter().any(|word| word.to_ascii_lowercase().contains("swiftshader"));
    let name = if words.is_empty() { "a GPU that the browser does not name".to_owned() } else { words.join(" ") };
    Ok(Adapter { name, software })
}

/// A property; undefined where there is none.
fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
}
