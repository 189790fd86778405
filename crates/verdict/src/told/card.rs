//! A section for the model card of an accelerated checkpoint, with the metadata that the Hugging Face hub reads
//! (<https://huggingface.co/docs/hub/model-cards#evaluation-results>).

use std::fmt::Write;

use serde_json::json;
use steady_report::Summary;

use super::markdown::{cell, table};
use super::percent;
use crate::error::VerdictError;
use crate::gate::{Gate, Judged, Run};

impl Gate {
    /// Front matter with `model-index`, and a section with verdict, figures and hashes. `link` leads to the whole report.
    ///
    /// # Errors
    /// [`VerdictError::Runs`] where several accelerations were judged: a checkpoint is one of them.
    pub fn card(&self, runs: &[Run], link: Option<&str>) -> Result<String, VerdictError> {
        let [judged] = self.accelerations.as_slice() else {
            let specs = self.accelerations.iter().map(|judged| judged.spec.as_str()).collect::<Vec<_>>().join(", ");
            return Err(VerdictError::Runs(format!(
                "a model card is about one acceleration, and {specs} were judged: name one with --accel"
            )));
        };
        let run: Vec<(&Run, &Summary)> = runs.iter().filter_map(|run| Some((run, run.report.summary(&judged.spec)?))).collect();
        let mut text = front_matter(judged, &run);
        let Judged { model, spec, verdict, findings, .. } = judged;
        // writing to a string cannot fail
        let _ = write!(
            text,
            "\n## Does it still give the same answers?\n\n`{}` of {} was compared with the model as it was, question by question. Verdict: **{verdict}** at {} confidence.\n",
            spec.replace('`', "'"),
            cell(model),
            percent(self.confidence)
        );
        text.push_str("\n| benchmark | questions | accuracy before | after | answers changed (DR) | broken (NDR) | repaired (PDR) | drop at most | NDR at most |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
        for (run, summary) in &run {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                cell(&run.report.plan().benchmark),
                summary.tally.questions(),
                percent(summary.accuracy_before.value),
                percent(summary.accuracy_after.value),
                percent(summary.dr.value),
                percent(summary.ndr.value),
                percent(summary.pdr.value),
                percent(summary.assurance.drop_at_most),
                percent(summary.assurance.ndr_at_most)
            );
        }
        let _ = write!(text, "\nWhat had to hold, fixed beforehand:\n\n{}", table(findings));
        let hashes = [("policy", std::slice::from_ref(&self.policy_sha256)), ("plan", self.plans_sha256.as_slice())];
        for (what, hash) in hashes.into_iter().flat_map(|(what, hashes)| hashes.iter().map(move |hash| (what, hash))) {
            if !hash.is_empty() {
                let _ = write!(text, "\nSHA-256 of the {what}: `{hash}`\n");
            }
        }
        if let Some(link) = link {
            let _ = write!(text, "\n[Every changed answer](<{link}>)\n");
        }
        Ok(text)
    }
}

/// YAML; texts are written as JSON has them, which is YAML too.
fn front_matter(judged: &Judged, runs: &[(&Run, &Summary)]) -> String {
    let quoted = |text: &str| json!(text).to_string();
    let mut text = format!("---\nmodel-index:\n- name: {}\n  results:\n", quoted(&format!("{} {}", judged.model, judged.spec)));
    for (run, summary) in runs {
        let benchmark = quoted(&run.report.plan().benchmark);
        let _ = write!(
            text,
            "  - task:\n      type: visual-question-answering\n    dataset:\n      name: {benchmark}\n      type: {benchmark}\n    metrics:\n"
        );
        let metrics = [
            ("accuracy", "accuracy", summary.accuracy_after.value),
            ("dr", "answers changed by acceleration (DR)", summary.dr.value),
            ("ndr", "answers broken by acceleration (NDR)", summary.ndr.value),
            ("pdr", "answers repaired by acceleration (PDR)", summary.pdr.value),
        ];
        for (kind, name, value) in metrics {
            let _ = write!(text, "    - type: {kind}\n      name: {}\n      value: {value}\n", quoted(name));
        }
    }
    text.push_str("---\n");
    text
}
