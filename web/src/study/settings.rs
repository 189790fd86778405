//! What a visitor chose, kept from visit to visit.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use steady_bench::perturb::{CLEAN, PERTURBATIONS, Perturbation, PerturbationSpec};
use steady_bench::world::TaskFamily;
use steady_methods::{BLIND, BLUR, CONTROLS, Change, Control, FIRST3, FIRST5, METHODS, Method, MethodKind, Place, RANDOM, REDUCERS, Spec};
use steady_protocol::{Embedded, EngineChoice, Folder, Model, Questions, Setting, StudyRequest};

use crate::engine;
use crate::own_questions::OwnFiles;

/// Most questions of a study in a browser; a longer one is a matter for the native program.
pub(crate) const MOST_QUESTIONS: usize = 1_000;

/// Questions of a first study: so many that what `w3:rtn` changes stands out from the controls, while accuracy stands still. With 100 it does not yet.
const QUESTIONS: usize = 140;

/// The model of a first study, which comes with the page.
const MODEL: &str = "steady-llava";

/// The accelerations that the page offers by a checkbox; any other can be typed.
pub(crate) static OFFERED: LazyLock<Vec<Offered>> = LazyLock::new(|| {
    let first = to_begin_with().map(|spec| Offered { group: Group::First, spec });
    let is =
        |spec: &str, method: &Method| Spec::parse(spec).is_ok_and(|spec| spec.parts().iter().all(|part| part.method().name == method.name));
    let of_method = |method: &'static Method| {
        let told = REDUCERS.specs.iter().copied().filter(move |spec| is(spec, method));
        let alone = REDUCERS.specs.iter().all(|spec| !is(spec, method)).then_some(method.name);
        told.chain(alone).map(|spec| Offered { group: Group::of(method), spec })
    };
    let rest = METHODS.into_iter().flat_map(of_method).filter(|offered| to_begin_with().all(|spec| spec != offered.spec));
    let mut offered: Vec<Offered> = first.chain(rest).collect();
    offered.sort_by_key(|offered| offered.group);
    offered
});

/// An acceleration with a checkbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offered {
    /// Where it stands.
    pub(crate) group: Group,
    /// Its spec.
    pub(crate) spec: &'static str,
}

/// What stands together in the list of accelerations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    /// Those of a first study, one of a kind.
    First,
    /// What changes weights.
    Weights,
    /// What drops or merges visual tokens in the vision tower or behind it.
    Before,
    /// What drops them between layers of the decoder.
    Inside,
    /// What a method that drops visual tokens should do better than.
    Beaten,
}

impl Group {
    /// All of them, in their order.
    pub(crate) const ALL: [Self; 5] = [Self::First, Self::Weights, Self::Before, Self::Inside, Self::Beaten];

    fn of(method: &Method) -> Self {
        if [&RANDOM, &BLIND, &BLUR].iter().any(|beaten| beaten.name == method.name) {
            return Self::Beaten;
        }
        match method.kind {
            MethodKind::Quantizer | MethodKind::Cache => Self::Weights,
            MethodKind::TokenReducer(Place::Picture | Place::Tower | Place::BeforeDecoder) => Self::Before,
            MethodKind::TokenReducer(Place::Decoder) => Self::Inside,
        }
    }

    /// Its name.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::First => "To begin with",
            Self::Weights => "Weights, keys and values",
            Self::Before => "Visual tokens, before the decoder",
            Self::Inside => "Visual tokens, inside the decoder",
            Self::Beaten => "Controls: what a reducer should beat",
        }
    }
}

/// Those that one might begin with.
fn to_begin_with() -> impl Iterator<Item = &'static str> {
    FIRST3.specs.iter().chain(FIRST5.specs.iter().filter(|spec| !FIRST3.specs.contains(spec))).copied()
}

/// Those of them that are part of a first study.
const TICKED: &[&str] = FIRST3.specs;

/// Those of the controls that a first study has: they need nothing that the baseline does not need.
const CONTROLLED: [&str; 3] = ["order", "split", "pixels=pil"];

/// Whether a control can be ticked: not where it is what the baseline has in a browser, or needs a second engine.
pub(crate) fn offers(control: &Control) -> bool {
    match control.change {
        Change::Order | Change::Split => true,
        Change::Precision(other) => other == "bf16",
        Change::Pixels(other) => other != "torchvision",
        Change::Device(_) => false,
    }
}

/// The choices of the Study view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// How many questions.
    pub(crate) questions: usize,
    /// Names of the families to ask; empty for all.
    pub(crate) families: Vec<String>,
    /// Specs of the offered accelerations that were ticked.
    pub(crate) ticked: Vec<String>,
    /// More specs, as typed.
    pub(crate) typed: String,
    /// Specs of what is done to the images, of the offered ones that were ticked.
    pub(crate) perturbed: Vec<String>,
    /// More of them, as typed.
    pub(crate) perturbed_typed: String,
    /// Names of the controls that were ticked.
    pub(crate) controls: Vec<String>,
    /// Who computes.
    pub(crate) engine: EngineChoice,
    /// Name of the model, one of those that come with the page.
    pub(crate) embedded: String,
    /// The checkpoint folder that was picked to be asked in its place.
    pub(crate) folder: Option<Folder>,
    /// Whether the visitor's own questions are asked in place of the suite's.
    pub(crate) own: bool,
    /// Which files these are in, if any were picked.
    pub(crate) files: Option<OwnFiles>,
}

impl Default for Settings {
    fn default() -> Self {
        let ticked = TICKED.iter().map(|&spec| spec.to_owned()).collect();
        let (typed, perturbed_typed) = (String::new(), String::new());
        Self {
            questions: QUESTIONS,
            families: Vec::new(),
            ticked,
            typed,
            perturbed: Vec::new(),
            perturbed_typed,
            controls: CONTROLLED.map(str::to_owned).into(),
            engine: EngineChoice::Auto,
            embedded: MODEL.to_owned(),
            folder: None,
            own: false,
            files: None,
        }
    }
}

impl Settings {
    /// From what [`Settings::to_text`] wrote on an earlier visit; the defaults where that cannot be used any more.
    pub(crate) fn from_text(text: &str) -> Self {
        let mut settings: Self = serde_json::from_str(text).unwrap_or_default();
        settings.questions = settings.questions.clamp(1, MOST_QUESTIONS);
        settings.families.retain(|name| name.parse::<TaskFamily>().is_ok());
        settings.ticked.retain(|spec| OFFERED.iter().any(|offered| offered.spec == spec));
        settings.perturbed.retain(|spec| PERTURBATIONS.iter().any(|perturbation| perturbation.example() == *spec));
        settings.controls.retain(|name| CONTROLS.iter().any(|control| control.name == name && offers(control)));
        if Embedded::of(&settings.embedded).is_none() {
            MODEL.clone_into(&mut settings.embedded);
        }
        settings
    }

    /// To be kept.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Specs of all accelerations chosen: the offered ones in their order, then those typed, none twice.
    pub(crate) fn accelerations(&self) -> Vec<String> {
        let ticked = OFFERED.iter().map(|offered| offered.spec).filter(|spec| self.ticked.iter().any(|ticked| ticked == spec));
        each_once(ticked.chain(self.typed.split_whitespace()).map(str::to_owned))
    }

    /// Specs of everything that is done to the images: the offered ones in their order, then those typed, none twice.
    pub(crate) fn perturbations(&self) -> Vec<String> {
        let offered = PERTURBATIONS.iter().map(Perturbation::example).filter(|spec| self.perturbed.contains(spec));
        // what cannot be read is left to the worker, which says why
        let typed = self.perturbed_typed.split_whitespace();
        let typed = typed.map(|spec| spec.parse().map_or_else(|_| spec.to_owned(), |spec: PerturbationSpec| spec.to_string()));
        each_once(offered.chain(typed))
    }

    /// Names of the controls, in the order of their table.
    pub(crate) fn controls(&self) -> Vec<String> {
        CONTROLS.iter().map(|control| control.name.to_owned()).filter(|name| self.controls.contains(name)).collect()
    }

    /// Who computes, with these accelerations.
    pub(crate) fn setting(&self, accelerations: Vec<String>) -> Setting {
        Setting { engine: self.engine, model: self.model(), accelerations }
    }

    /// The checkpoint.
    pub(crate) fn model(&self) -> Model {
        let embedded = || Model::Address(Embedded::of(&self.embedded).map(Embedded::address).unwrap_or_default());
        self.folder.clone().map_or_else(embedded, Model::Folder)
    }

    /// The checkpoint's name.
    fn model_name(&self) -> &str {
        self.folder.as_ref().map_or(&self.embedded, |folder| &folder.name)
    }

    /// Asks a model that comes with the page.
    pub(crate) fn choose(&mut self, embedded: &Embedded) {
        embedded.name.clone_into(&mut self.embedded);
        self.folder = None;
    }

    /// Whether it is this one that is asked.
    pub(crate) fn chose(&self, embedded: &Embedded) -> bool {
        self.folder.is_none() && self.embedded == embedded.name
    }

    /// The files of the visitor's own questions, where these are asked.
    pub(crate) fn own_files(&self) -> Option<&OwnFiles> {
        self.files.as_ref().filter(|_| self.own)
    }

    /// The study, of the suite and without anything recorded.
    pub(crate) fn study(&self) -> StudyRequest {
        StudyRequest {
            setting: self.setting(self.accelerations()),
            questions: Questions::Suite { families: self.families.clone() },
            count: self.questions,
            perturbations: self.perturbations(),
            controls: self.controls(),
            recorded: Vec::new(),
            begun: None,
        }
    }

    /// What names the study among those that are kept: everything that its records depend on.
    pub(crate) fn key(&self) -> String {
        let StudyRequest { setting, questions: _, count, perturbations, controls, recorded: _, begun: _ } = self.study();
        let asked = match self.own_files() {
            Some(own) => format!("{}/{} {}", own.folder, own.spec(), own.mark),
            None if self.own => "nothing".to_owned(),
            None if self.families.is_empty() => "all".to_owned(),
            None => self.families.join(","),
        };
        let model = match setting.model {
            Model::Address(address) => address,
            // What is in the files nobody knows before they are read. Whoever replaces one by another of its size is stopped by the plan's hash.
            Model::Folder(Folder { name, files }) => {
                let files: Vec<String> = files.iter().map(|file| format!("{}:{}", file.path, file.bytes)).collect();
                format!("{name}/{{{}}}", files.join(","))
            }
        };
        let version = env!("CARGO_PKG_VERSION");
        let specs = [setting.accelerations, perturbations, controls].map(|specs| specs.join(" ")).join("; ");
        format!("{version} {:?} {model} {count} {asked} {specs}", setting.engine)
    }

    /// Whether a family is asked.
    pub(crate) fn asks(&self, family: TaskFamily) -> bool {
        self.families.is_empty() || self.families.iter().any(|name| name == family.name())
    }

    /// Asks a family, or does not. The last one cannot be left out.
    pub(crate) fn ask(&mut self, family: TaskFamily, wanted: bool) {
        let asked: Vec<TaskFamily> =
            TaskFamily::ALL.into_iter().filter(|&other| if other == family { wanted } else { self.asks(other) }).collect();
        if !asked.is_empty() {
            let all = asked.len() == TaskFamily::ALL.len();
            self.families = if all { Vec::new() } else { asked.into_iter().map(|family| family.name().to_owned()).collect() };
        }
    }

    /// Ticks an offered acceleration, or does not.
    pub(crate) fn tick(&mut self, spec: &str, wanted: bool) {
        tick(&mut self.ticked, spec, wanted);
    }

    /// Ticks a control, or does not.
    pub(crate) fn control(&mut self, name: &str, wanted: bool) {
        tick(&mut self.controls, name, wanted);
    }

    /// Ticks something that is done to the images, or does not.
    pub(crate) fn perturb(&mut self, spec: &str, wanted: bool) {
        tick(&mut self.perturbed, spec, wanted);
    }

    /// In a line.
    pub(crate) fn summary(&self) -> String {
        let accelerations = match self.accelerations().len() {
            1 => "1 acceleration".to_owned(),
            several => format!("{several} accelerations"),
        };
        let asked = match (self.own_files(), self.families.len()) {
            (Some(own), _) => format!(" of {} at most", own.name()),
            (None, _) if self.own => " of your own".to_owned(),
            (None, 0) => String::new(),
            (None, 1) => format!(" of family {}", self.families[0]),
            (None, some) => format!(" of {some} families"),
        };
        let perturbations = match self.perturbations().len() {
            0 => String::new(),
            1 => ", 1 perturbation".to_owned(),
            several => format!(", {several} perturbations"),
        };
        let questions = if self.questions == 1 { "question" } else { "questions" };
        let (engine, model) = (engine::label(self.engine), self.model_name());
        format!("{} {questions}{asked}, {accelerations}{perturbations}, engine {engine}, model {model}", self.questions)
    }
}

/// The specs in their order, none twice; `none` stands for nothing done, to a model or to an image.
fn each_once(given: impl Iterator<Item = String>) -> Vec<String> {
    let mut specs = Vec::new();
    for spec in given {
        if spec != CLEAN && !specs.contains(&spec) {
            specs.push(spec);
        }
    }
    specs
}

fn tick(ticked: &mut Vec<String>, spec: &str, wanted: bool) {
    ticked.retain(|ticked| ticked != spec);
    if wanted {
        ticked.push(spec.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use steady_protocol::{EMBEDDED, FolderFile};

    use super::*;

    fn folder(sizes: &[u64]) -> Folder {
        let file = |(i, &bytes)| FolderFile { path: format!("{i}.safetensors"), bytes };
        Folder { name: "tiny".to_owned(), files: sizes.iter().enumerate().map(file).collect() }
    }

    fn own(table: &str) -> OwnFiles {
        let (folder, mark, options) = ("photos".to_owned(), "0".to_owned(), String::new());
        OwnFiles { folder, mark, tables: vec![table.to_owned()], table: table.to_owned(), options }
    }

    #[test]
    fn own_questions_are_named_by_their_table() {
        let settings = Settings { own: true, ..Settings::default() };
        assert!(settings.summary().starts_with("140 questions of your own, "), "{}", settings.summary());
        let settings = Settings { files: Some(own("deep/q.csv")), ..settings };
        assert!(settings.summary().starts_with("140 questions of q.csv at most, "), "{}", settings.summary());
    }

    #[test]
    fn a_first_study_is_small() {
        let settings = Settings::default();
        assert_eq!(settings.summary(), "140 questions, 3 accelerations, engine automatic, model steady-llava");
        assert_eq!(settings.accelerations(), ["w3:rtn", "divprune:keep=0.33", "fastv:k=2,keep=0.5"]);
        assert_eq!(settings.controls(), CONTROLLED);
    }

    #[test]
    fn every_method_is_offered_once_and_in_its_group() {
        let specs: Vec<Spec> = OFFERED.iter().map(|offered| Spec::parse(offered.spec).unwrap()).collect();
        for method in METHODS {
            assert!(specs.iter().any(|spec| spec.parts()[0].method().name == method.name), "{}", method.name);
        }
        let distinct: std::collections::BTreeSet<String> = specs.iter().map(ToString::to_string).collect();
        assert_eq!(distinct.len(), OFFERED.len());
        let group = |spec: &str| OFFERED.iter().find(|offered| offered.spec == spec).unwrap().group;
        assert_eq!(["int8", "w4:gptq", "tome:keep=0.333", "vtw", "blind"].map(group), Group::ALL);
        assert!(OFFERED.is_sorted_by_key(|offered| offered.group));
    }

    #[test]
    fn choices_survive_a_visit_and_nonsense_does_not() {
        let chosen = Settings {
            questions: 7,
            families: vec!["chart".into(), "scan".into()],
            ticked: vec!["int8".into()],
            typed: "w4:rtn,g=8".into(),
            perturbed: vec!["noise=20".into()],
            perturbed_typed: "blur=2".into(),
            controls: vec!["bf16".into()],
            engine: EngineChoice::Cpu,
            embedded: EMBEDDED[EMBEDDED.len() - 1].name.to_owned(),
            folder: Some(folder(&[4, 5])),
            own: true,
            files: Some(own("q.csv")),
        };
        assert_eq!(Settings::from_text(&chosen.to_text()), chosen);
        for nonsense in ["", "7", "{\"questions\":\"many\"}", "{\"engine\":\"abacus\"}"] {
            assert_eq!(Settings::from_text(nonsense), Settings::default(), "{nonsense}");
        }
        // as earlier releases of the page wrote it
        let words = Settings::from_text("{\"questions\":20,\"engine\":\"webgpu\"}");
        assert_eq!(words, Settings { questions: 20, engine: EngineChoice::WebGpu, ..Settings::default() });
        let odd = Settings::from_text(
            "{\"questions\":0,\"families\":[\"chart\",\"<b>\"],\"ticked\":[\"gone\",\"int8\"],\"perturbed\":[\"fog=1\"],\"controls\":[\"device=gpu\",\"split\",\"calm\"],\"embedded\":\"gone\"}",
        );
        assert_eq!((odd.perturbed.len(), odd.controls(), odd.embedded.as_str()), (0, vec!["split".to_owned()], MODEL));
        assert_eq!((odd.questions, odd.families, odd.ticked), (1, vec!["chart".to_owned()], vec!["int8".to_owned()]));
    }

    #[test]
    fn families_are_left_out_and_come_back_in_their_order() {
        let mut settings = Settings::default();
        settings.ask(TaskFamily::Existence, false);
        assert_eq!((settings.families.len(), settings.asks(TaskFamily::Existence), settings.asks(TaskFamily::Scan)), (9, false, true));
        settings.ask(TaskFamily::Existence, true);
        assert_eq!(settings.families.len(), 0);
        for family in TaskFamily::ALL {
            settings.ask(family, false);
        }
        assert_eq!(settings.families, ["scan"]);
        settings.ask(TaskFamily::Chart, true);
        assert_eq!(settings.families, ["chart", "scan"]);
    }

    #[test]
    fn typed_specs_join_the_ticked_ones_once() {
        let settings =
            Settings { ticked: vec!["int8".into(), "w4:rtn".into()], typed: " int8  w4:rtn,g=8 none ".into(), ..Settings::default() };
        assert_eq!(settings.accelerations(), ["w4:rtn", "int8", "w4:rtn,g=8"]);
    }

    #[test]
    fn images_are_perturbed_in_one_way_and_once() {
        let settings = Settings {
            perturbed: vec!["noise=20".into(), "rotation=10".into()],
            perturbed_typed: " noise=20.0  jpeg=30+blur=1 none fog=1 ".into(),
            ..Settings::default()
        };
        assert_eq!(settings.perturbations(), ["rotation=10", "noise=20", "blur=1+jpeg=30", "fog=1"]);
        assert_eq!(settings.summary(), "140 questions, 3 accelerations, 4 perturbations, engine automatic, model steady-llava");
    }

    #[test]
    fn one_model_is_asked_wherever_it_comes_from() {
        let mut settings = Settings::default();
        let others: Vec<&Embedded> = EMBEDDED.iter().filter(|model| !settings.chose(model)).collect();
        assert_eq!((settings.model(), others.len()), (Model::Address("models/steady-llava/".to_owned()), EMBEDDED.len() - 1));
        settings.folder = Some(folder(&[4]));
        assert!(!EMBEDDED.iter().any(|model| settings.chose(model)) && settings.summary().ends_with("model tiny"));
        for model in EMBEDDED {
            settings.choose(model);
            assert!(settings.chose(model) && settings.summary().ends_with(model.name));
            assert_eq!(settings.model(), Model::Address(model.address()));
        }
    }

    #[test]
    fn studies_that_answer_differently_have_different_keys() {
        let base = Settings::default();
        let others = [
            Settings { questions: 101, ..base.clone() },
            Settings { families: vec!["chart".into()], ..base.clone() },
            Settings { ticked: vec![], ..base.clone() },
            Settings { perturbed: vec!["noise=20".into()], ..base.clone() },
            Settings { perturbed_typed: "noise=21".into(), ..base.clone() },
            Settings { controls: vec![], ..base.clone() },
            Settings { controls: vec!["split".into()], ..base.clone() },
            Settings { engine: EngineChoice::Cpu, ..base.clone() },
            Settings { embedded: String::new(), ..base.clone() },
            Settings { folder: Some(folder(&[4, 5])), ..base.clone() },
            Settings { folder: Some(folder(&[4, 6])), ..base.clone() },
            Settings { folder: Some(Folder { name: "other".to_owned(), ..folder(&[4, 5]) }), ..base.clone() },
            Settings { own: true, ..base.clone() },
            Settings { own: true, files: Some(own("q.csv")), ..base.clone() },
            Settings { own: true, files: Some(own("r.csv")), ..base.clone() },
            Settings { own: true, files: Some(OwnFiles { mark: "1".to_owned(), ..own("q.csv") }), ..base.clone() },
            Settings { own: true, files: Some(OwnFiles { options: "gold=".to_owned(), ..own("q.csv") }), ..base.clone() },
        ];
        let keys: std::collections::BTreeSet<String> = others.iter().chain([&base]).map(Settings::key).collect();
        assert_eq!(keys.len(), 18);
    }
}
