//! `steady run --endpoint`: the same study of models behind somebody else's servers.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::args::RunArgs;

#[cfg(not(feature = "endpoint"))]
pub(crate) fn run(_: &str, _: &str, _: Option<PathBuf>, _: &RunArgs) -> Result<()> {
    bail!("--endpoint: this program was built without servers (cargo feature `endpoint`)")
}

#[cfg(feature = "endpoint")]
pub(crate) use with_servers::run;

#[cfg(feature = "endpoint")]
mod with_servers {
    use std::time::Duration;

    use anyhow::Context;
    use steady_bench::BENCHMARKS;
    use steady_endpoint::{Address, Endpoints, Key, Patience, Server};
    use steady_records::plan;
    use steady_study::Folder;
    use steady_vlm::Decoding;

    use super::{PathBuf, Result, RunArgs, bail};
    use crate::args::{Refused, ServerArgs};
    use crate::commands::{report, study};
    use crate::{console, tls};

    /// Where the key is if nobody says.
    const USUAL_KEY: &str = "OPENAI_API_KEY";

    /// Asks the benchmark `bench` into the folder `out`.
    pub(crate) fn run(baseline: &str, bench: &str, out: Option<PathBuf>, args: &RunArgs) -> Result<()> {
        let again = match args.study.controls.as_slice() {
            [] => true,
            [none] if none == "none" => false,
            [other, ..] => bail!(
                "--control {other}: of a server nothing can be changed; it is asked everything twice, which is its noise floor, and --control none \
                 leaves that out"
            ),
        };
        let perturbations = plan::perturbations(&args.study.perturbations)?;
        let (benchmark, questions) = BENCHMARKS.find(bench)?.draw(args.study.questions as usize, &[])?;
        study::say_what_is_odd(&*benchmark);
        let keys = Keys::of(&args.servers)?;
        let patience = Patience {
            timeout: Duration::from_secs(args.servers.timeout.into()),
            retries: args.servers.retries,
            counts_refusals: args.servers.refused == Refused::Count,
        };
        let trusted = tls::trusted()?;
        let open = |flag: &str, address: &str| {
            let address: Address = address.parse().with_context(|| flag.to_owned())?;
            let key = keys.of_server(&address);
            if let Some(key) = key.filter(|_| address.is_open()) {
                console::note(&format!("{address}: the key in {} goes there unencrypted", key.variable()));
            }
            Server::open(&address, key, patience, trusted.as_ref()).with_context(|| flag.to_owned())
        };
        let baseline = open("--endpoint", baseline)?;
        let others = args.against.iter().map(|other| open("--against", &other.to_string_lossy())).collect::<Result<_>>()?;
        let limit = benchmark.max_new_tokens().map_or(Decoding::default().max_new_tokens, |limit| limit as usize);
        let (post_prompts, mut said) = args.study.post_prompt.chosen(false);
        if !again {
            said.extend(["--control".to_owned(), "none".to_owned()]);
        }
        let endpoints = Endpoints::new(baseline, others, again, limit, post_prompts)?;
        let plan = endpoints.plan(&said, &*benchmark, &questions, perturbations)?;
        let path = match out {
            Some(path) => path,
            None => study::default_folder(&plan)?,
        };
        let folder = Folder::create(&path, &plan, &questions)?;
        let asking = endpoints.ask(folder.path(), args.servers.in_flight.into())?;
        study::answer(&folder, &*benchmark, &asking)?;
        asking.finish()?;
        report::publish(&folder, Some(&*benchmark), report::Printed::of(args.study.json))?;
        Ok(())
    }

    /// The keys that the environment holds.
    struct Keys {
        /// Of the servers at these places.
        named: Vec<(String, Key)>,
        usual: Option<Key>,
    }

    impl Keys {
        fn of(args: &ServerArgs) -> Result<Self> {
            let wanted = |variable: &str| {
                Key::from_environment(variable)?.with_context(|| format!("--key-env {variable}: this environment variable is not set"))
            };
            let mut keys = Self { named: Vec::new(), usual: None };
            for choice in &args.key_env {
                match choice.rsplit_once('=') {
                    Some((place, variable)) => keys.named.push((place.to_lowercase(), wanted(variable)?)),
                    None if keys.usual.is_some() => {
                        bail!("--key-env {choice}: another one is given for all servers; HOST=NAME is for one of them")
                    }
                    None => keys.usual = Some(wanted(choice)?),
                }
            }
            if args.key_env.is_empty() {
                keys.usual = Key::from_environment(USUAL_KEY)?;
            }
            Ok(keys)
        }

        fn of_server(&self, address: &Address) -> Option<&Key> {
            self.named.iter().find(|(place, _)| address.is_at(place)).map(|(_, key)| key).or(self.usual.as_ref())
        }
    }
}
