//! The tiny reference checkpoint, and reducers whose choice a test dictates.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Mutex,
};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::Value;

use steady_vlm::image::{ImageOptions, PixelBackend};
use steady_vlm::{
    Checkpoint, DeviceChoice, Evidence, HostMatrix, Needs, PositionPolicy, Precision, Prepared, PromptStates, Reduction, Site, Step,
    TokenReducer, Vlm, VlmError,
};
use tempfile::TempDir;

/// `tests/reference/tiny-llava` of the repository.
pub fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/tiny-llava")
}

/// The tiny random-weight LLaVA on the CPU, with the pixels that its reference cases were made with.
pub fn tiny() -> Vlm {
    let images = ImageOptions { backend: PixelBackend::Pil, ..ImageOptions::default() };
    let checkpoint = Checkpoint::open(&reference().join("checkpoint")).unwrap().with_images(images);
    let device = DeviceChoice::Cpu.open().unwrap().device;
    Vlm::load(&checkpoint, &device, Precision::F32).unwrap()
}

/// A tensor of a file: element type, shape, bytes.
pub type Stored = (Dtype, Vec<usize>, Vec<u8>);

/// A copy of the tiny model's files with its settings and its tensors, by their names in the files, changed.
pub fn changed(config: impl FnOnce(&mut Value), tensors: impl FnOnce(&mut BTreeMap<String, Stored>)) -> TempDir {
    let folder = TempDir::new().unwrap();
    let mut stored: BTreeMap<String, Stored> = BTreeMap::new();
    for entry in std::fs::read_dir(reference().join("checkpoint")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.contains(".safetensors") {
            std::fs::copy(&path, folder.path().join(name)).unwrap();
        } else if name.ends_with(".safetensors") {
            let bytes = std::fs::read(&path).unwrap();
            for (name, tensor) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
                stored.insert(name, (tensor.dtype(), tensor.shape().to_vec(), tensor.data().to_vec()));
            }
        }
    }
    assert!(!stored.is_empty());
    tensors(&mut stored);
    let views = stored.iter().map(|(name, (dtype, shape, bytes))| (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
    let file = safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap();
    std::fs::write(folder.path().join("model.safetensors"), file).unwrap();
    let path = folder.path().join("config.json");
    let mut json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config(&mut json);
    std::fs::write(path, json.to_string()).unwrap();
    folder
}

/// One of the reference pictures with a question.
pub fn prepare(vlm: &Vlm, picture: &str, question: &str) -> Prepared {
    let image = steady_vlm::image::load(&reference().join("images").join(picture)).unwrap();
    vlm.prepare(&image, &vlm.prompt(question).unwrap()).unwrap()
}

/// What a reducer was shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shown {
    pub visual_tokens: usize,
    pub features: Option<HostMatrix>,
    pub cls_attention: Vec<(i32, HostMatrix)>,
    pub class_token: Option<HostMatrix>,
    pub class_projections: Vec<(i32, HostMatrix)>,
    pub vision_keys: Vec<(i32, HostMatrix)>,
    pub vision_heads: usize,
    pub prompt: Option<PromptStates>,
    pub last_row_attention: Option<Vec<f32>>,
    pub own_attention: Option<Vec<f32>>,
    pub text_attention: Option<HostMatrix>,
    pub image_key: u64,
}

/// Does as it is told and remembers what it saw.
pub struct Puppet {
    pub site: Site,
    pub positions: PositionPolicy,
    pub needs: Needs,
    pub reduction: Reduction,
    pub shown: Mutex<Vec<Shown>>,
}

impl Puppet {
    pub fn new(site: Site, kept: &[usize], positions: PositionPolicy) -> Self {
        let reduction = Reduction::keep(kept.to_vec());
        Self { site, positions, needs: Needs::default(), reduction, shown: Mutex::default() }
    }

    pub fn looking_at(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }
}

impl TokenReducer for Puppet {
    fn name(&self) -> String {
        "puppet".to_owned()
    }

    fn steps(&self) -> Vec<Step> {
        vec![Step::at(self.site, self.positions).seeing(self.needs.clone())]
    }

    fn reduce(&self, _: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        let owned = |list: &[(i32, &HostMatrix)]| list.iter().map(|(layer, matrix)| (*layer, (*matrix).clone())).collect();
        self.shown.lock().unwrap().push(Shown {
            visual_tokens: evidence.visual_tokens,
            features: evidence.features.cloned(),
            cls_attention: owned(&evidence.cls_attention),
            class_token: evidence.class_token.cloned(),
            class_projections: owned(&evidence.class_projections),
            vision_keys: owned(&evidence.vision_keys),
            vision_heads: evidence.vision_heads,
            prompt: evidence.prompt.cloned(),
            last_row_attention: evidence.last_row_attention.map(<[f32]>::to_vec),
            own_attention: evidence.own_attention.map(<[f32]>::to_vec),
            text_attention: evidence.text_attention.cloned(),
            image_key: evidence.image_key,
        });
        Ok(self.reduction.clone())
    }
}

/// Largest absolute difference.
pub fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}
