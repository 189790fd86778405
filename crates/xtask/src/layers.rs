//! Who may import whom: the crates that hold no tensors reach none, and no crate reaches one of a layer above its own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::shell::{cargo, output};

/// Crates without tensors. What they link is what a page that shows a report links.
const TENSOR_FREE: &[&str] = &[
    "steady-report",
    "steady-bench",
    "steady-records",
    "steady-logs",
    "steady-store",
    "steady-verdict",
    "steady-methods",
    "steady-pixels",
    "steady-parquet",
    "steady-protocol",
    "steady-web",
    "steady-page-tests",
];

/// What they must not reach; a name stands for its family too, `burn` for `burn-flex`.
const TENSORS: &[&str] = &["burn", "wgpu", "steady-gpu", "steady-kernels", "steady-vlm", "steady-accel"];

/// From the lowest layer to the highest.
const LAYERS: &[&[&str]] = &[
    &["steady-gpu"],
    &["steady-kernels"],
    &["steady-vlm"],
    &["steady-accel"],
    &["steady-study"],
    &["steady-endpoint"],
    &["steady", "steady-worker"],
];

/// Checks the workspace.
pub(crate) fn check() -> anyhow::Result<()> {
    let mut metadata = cargo(["metadata", "--format-version", "1", "--all-features", "--locked"]);
    let json = output(&mut metadata).context("`cargo metadata --locked` fails: is Cargo.lock up to date?")?;
    let graph = Graph::new(&serde_json::from_str(&json).context("cargo metadata")?)?;
    keeps_to(&graph, TENSOR_FREE, TENSORS, LAYERS)
}

fn keeps_to(graph: &Graph, tensor_free: &[&str], tensors: &[&str], layers: &[&[&str]]) -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    let mut look = |from: &str, what: &str, is_it: &dyn Fn(&str) -> bool| -> anyhow::Result<()> {
        if let Some(path) = graph.path(from, is_it)? {
            wrong.push(format!("{from} must not reach {what}: {}", path.join(" -> ")));
        }
        Ok(())
    };
    for from in tensor_free {
        for family in tensors {
            look(from, family, &|name| is_of(name, family))?;
        }
    }
    for name in layers.iter().copied().flatten() {
        graph.member(name)?;
    }
    for (height, layer) in layers.iter().enumerate() {
        for from in *layer {
            for above in layers[height + 1..].iter().copied().flatten() {
                look(from, above, &|name| name == *above)?;
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Packages and what they link: neither what builds them nor what tests them.
struct Graph {
    /// Name by package id.
    names: BTreeMap<String, String>,
    /// Ids of the workspace's packages.
    members: BTreeSet<String>,
    /// By package id, the ids of its dependencies.
    links: BTreeMap<String, Vec<String>>,
}

impl Graph {
    /// Reads what `cargo metadata` prints.
    fn new(metadata: &Value) -> anyhow::Result<Self> {
        let list = |value: &Value, what: &str| value.as_array().cloned().with_context(|| format!("cargo metadata has no {what}"));
        let text = |value: &Value, what: &str| value.as_str().map(str::to_owned).with_context(|| format!("cargo metadata: no {what}"));
        let mut names = BTreeMap::new();
        for package in list(&metadata["packages"], "packages")? {
            names.insert(text(&package["id"], "id of a package")?, text(&package["name"], "name of a package")?);
        }
        let members = list(&metadata["workspace_members"], "workspace_members")?;
        let members = members.iter().map(|id| text(id, "id of a member")).collect::<anyhow::Result<_>>()?;
        let mut links = BTreeMap::new();
        for node in list(&metadata["resolve"]["nodes"], "resolve.nodes")? {
            let mut linked = Vec::new();
            for dependency in list(&node["deps"], "deps of a node")? {
                // a dependency of the plain kind is written as null
                if list(&dependency["dep_kinds"], "dep_kinds of a dependency")?.iter().any(|kind| kind["kind"].is_null()) {
                    linked.push(text(&dependency["pkg"], "pkg of a dependency")?);
                }
            }
            links.insert(text(&node["id"], "id of a node")?, linked);
        }
        Ok(Self { names, members, links })
    }

    /// The id of the workspace's crate of that name.
    fn member(&self, name: &str) -> anyhow::Result<&String> {
        let found = self.members.iter().find(|id| self.name(id) == name);
        found.with_context(|| format!("the workspace has no crate {name}, which crates/xtask/src/layers.rs names"))
    }

    /// Names from the workspace's crate `from` down to the nearest package that is what is looked for, or `None` if none is reached.
    fn path(&self, from: &str, is_it: &dyn Fn(&str) -> bool) -> anyhow::Result<Option<Vec<&str>>> {
        let start = self.member(from)?;
        let mut reached_by: BTreeMap<&str, Option<&str>> = BTreeMap::from([(start.as_str(), None)]);
        let mut waiting = VecDeque::from([start.as_str()]);
        while let Some(id) = waiting.pop_front() {
            if id != start && is_it(self.name(id)) {
                let mut path: Vec<&str> = std::iter::successors(Some(id), |id| reached_by[id]).map(|id| self.name(id)).collect();
                path.reverse();
                return Ok(Some(path));
            }
            for next in self.links.get(id).into_iter().flatten() {
                reached_by.entry(next).or_insert_with(|| {
                    waiting.push_back(next);
                    Some(id)
                });
            }
        }
        Ok(None)
    }

    fn name(&self, id: &str) -> &str {
        self.names.get(id).map_or("a package without a name", String::as_str)
    }
}

fn is_of(name: &str, family: &str) -> bool {
    name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// `report` reaches `burn-flex` through `pictures`; what it tests with and what builds it are no matter.
    fn graph(report_links: &Value) -> Graph {
        let packages = ["report", "pictures", "burn-flex", "burning-glass", "app-kernels", "study", "app"]
            .map(|name| json!({ "id": name, "name": name }));
        let link = |to: &str, kinds: Value| json!({ "pkg": to, "dep_kinds": kinds });
        let plain = |to: &str| link(to, json!([{ "kind": null }]));
        Graph::new(&json!({
            "packages": packages,
            "workspace_members": ["report", "app-kernels", "study", "app"],
            "resolve": { "nodes": [
                { "id": "report", "deps": report_links },
                { "id": "pictures", "deps": [plain("burning-glass"), plain("burn-flex")] },
                { "id": "burn-flex", "deps": [] },
                { "id": "burning-glass", "deps": [] },
                { "id": "app-kernels", "deps": [plain("burn-flex")] },
                { "id": "study", "deps": [plain("app-kernels"), plain("report")] },
                { "id": "app", "deps": [plain("study")] },
            ] },
        }))
        .unwrap()
    }

    fn links(to: &str, kinds: &[&str]) -> Value {
        let kinds: Vec<Value> =
            kinds.iter().map(|kind| json!({ "kind": if kind.is_empty() { Value::Null } else { json!(kind) } })).collect();
        json!([{ "pkg": to, "dep_kinds": kinds }])
    }

    #[test]
    fn a_tensor_that_is_reached_is_named_with_the_way_to_it() {
        let layers: &[&[&str]] = &[&["app-kernels"], &["study"], &["app"]];
        let error = keeps_to(&graph(&links("pictures", &["dev", ""])), &["report"], &["burn"], layers).unwrap_err();
        assert_eq!(error.to_string(), "report must not reach burn: report -> pictures -> burn-flex");
        for kind in ["dev", "build"] {
            keeps_to(&graph(&links("pictures", &[kind])), &["report"], &["burn"], layers).unwrap();
        }
        keeps_to(&graph(&links("burning-glass", &[""])), &["report"], &["burn"], layers).unwrap();
    }

    #[test]
    fn a_crate_that_reaches_a_layer_above_is_named() {
        let error = keeps_to(&graph(&json!([])), &[], &[], &[&["study"], &["report"], &["app-kernels"]]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "study must not reach report: study -> report\nstudy must not reach app-kernels: study -> app-kernels"
        );
    }

    #[test]
    fn a_crate_that_is_not_there_is_an_error() {
        let graph = graph(&json!([]));
        for result in [
            keeps_to(&graph, &["rapport"], &["burn"], &[]),
            // there, but not of this workspace
            keeps_to(&graph, &["pictures"], &["burn"], &[]),
            keeps_to(&graph, &[], &[], &[&["app-kernels"], &["rapport"]]),
        ] {
            assert!(result.unwrap_err().to_string().contains("has no crate"));
        }
    }
}
