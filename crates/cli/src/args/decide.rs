//! What can be typed to decide over reports: the gate, the guard, and how many questions it takes.

use std::path::PathBuf;

use clap::Args;
use steady_verdict::Share;

#[derive(Debug, Args)]
#[command(after_help = "\
A verdict is PASS where the limit is shown to hold, FAIL where it is shown not to, INCONCLUSIVE where so few questions show neither; it says how \
many would do. A policy is a TOML file, its limits a number such as 0.02 or \"2%\":

  confidence = 0.95              # one-sided, of every verdict

  [[rule]]                       # all questions about clean images
  tier = \"critical\"              # must be shown to hold; supporting: must not be shown violated; advisory: decides nothing
  max-ndr = \"2%\"                 # at most so many questions break
  non-inferiority-margin = \"2%\"  # accuracy falls by less

  [[rule]]
  tier = \"supporting\"
  benchmark = \"steady-world\"     # left out: each benchmark that was run
  group = \"*\"                    # a task family, or each by itself
  perturbation = \"noise=20\"      # left out: clean images
  max-dr = \"10%\"                 # at most so many answers change
  max-drop = \"1%\"                # accuracy falls by no more, as observed

Examples:
  steady gate --max-ndr 2% --accel w4:rtn           the newest run in ./steady-out/
  steady gate runs/pope runs/vqa --policy policy.toml
  steady gate runs/pope --policy policy.toml --check
  steady gate report.json --policy policy.toml --junit gate.xml --markdown gate.md --github
  steady gate runs/* --policy policy.toml --html gate.html
  steady gate runs/pope --policy policy.toml --accel w4:rtn --card card.md --page https://example.org/steady/

Exit codes: 0 PASS, 1 FAIL, 2 wrong usage or input, 3 INCONCLUSIVE.")]
pub(crate) struct GateArgs {
    /// Run folders or report.json files, one for each benchmark [default: the newest run in ./steady-out/]
    #[arg(value_name = "RUN")]
    pub(crate) runs: Vec<PathBuf>,
    /// Policy file
    #[arg(long, value_name = "FILE", required_unless_present_any = ["max_ndr", "max_dr", "max_drop", "margin"])]
    pub(crate) policy: Option<PathBuf>,
    /// Acceleration to judge; repeatable [default: all that were run, each by itself]
    #[arg(long = "accel", value_name = "SPEC")]
    pub(crate) accelerations: Vec<String>,
    /// At most this share of the questions breaks
    #[arg(long, value_name = "SHARE", conflicts_with = "policy")]
    pub(crate) max_ndr: Option<Share>,
    /// At most this share of the answers changes
    #[arg(long, value_name = "SHARE", conflicts_with = "policy")]
    pub(crate) max_dr: Option<Share>,
    /// Accuracy falls by no more, as observed: no test, and so never inconclusive
    #[arg(long, value_name = "SHARE", conflicts_with = "policy")]
    pub(crate) max_drop: Option<Share>,
    /// Accuracy falls by less, by Tango's test of non-inferiority
    #[arg(long, value_name = "SHARE", conflicts_with = "policy")]
    pub(crate) margin: Option<Share>,
    /// One-sided confidence of every verdict [default: the policy's, else 95%]
    #[arg(long, value_name = "SHARE")]
    pub(crate) confidence: Option<Share>,
    /// Judge the baseline against its controls instead: how often would the gate fail for nothing?
    #[arg(long, conflicts_with_all = ["accelerations", "junit", "markdown", "html", "card", "github"])]
    pub(crate) check: bool,
    /// Write JUnit XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Write a summary in Markdown
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Write a page: verdict and policy on top, then a heat map of benchmarks by accelerations
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write a section for the model card of the accelerated checkpoint, with the hub's `model-index` metadata before it
    #[arg(long, value_name = "FILE")]
    pub(crate) card: Option<PathBuf>,
    /// With --card: link to the whole report, by the page at this address
    #[arg(long, value_name = "URL", requires = "card")]
    pub(crate) page: Option<String>,
    /// Print annotations of GitHub Actions, and append the Markdown to $GITHUB_STEP_SUMMARY where there is one
    #[arg(long, conflicts_with = "json")]
    pub(crate) github: bool,
    /// Print JSON on stdout instead of the table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("risk").required(true).args(["max_ndr", "max_dr"]),
    after_help = "\
The accelerated model answers first. Where its first token leads by less than the guard's threshold, in logits, the baseline answers instead. \
The threshold is chosen on a part of the images and tried on the others. Without --confidence the limit holds on average over such choices \
(conformal risk control); with it, for this one, but for a chance of 1 minus the confidence (learn then test). Both hold for any number of \
images, if those of later use come from the same source.

Examples:
  steady guard --accel w4:rtn --max-ndr 2%                     the newest run in ./steady-out/
  steady guard runs/first --accel divprune:keep=0.33 --max-dr 5% --confidence 90% --out prune.json
  steady ask --image photo.jpg --question \"Is there a red circle?\" --guard guard.json

Exit codes: 0 ok, 2 wrong usage or input, 3 too few images for such a guarantee.")]
pub(crate) struct GuardArgs {
    /// Run folder or report.json [default: the newest run in ./steady-out/]
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<PathBuf>,
    /// Acceleration to guard [default: the only one that was run]
    #[arg(long = "accel", value_name = "SPEC")]
    pub(crate) acceleration: Option<String>,
    /// Keep the share of questions that break under this
    #[arg(long, value_name = "SHARE")]
    pub(crate) max_ndr: Option<Share>,
    /// Keep the share of answers that change under this
    #[arg(long, value_name = "SHARE")]
    pub(crate) max_dr: Option<Share>,
    /// Confidence that the limit holds for this very choice [default: it holds on average]
    #[arg(long, value_name = "SHARE")]
    pub(crate) confidence: Option<Share>,
    /// Share of the images that the threshold is chosen on
    #[arg(long, value_name = "SHARE", default_value = "50%")]
    pub(crate) calibrate: Share,
    /// Which images those are
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Where the guard goes; its risk-coverage curve goes beside it, as SVG
    #[arg(long, value_name = "FILE", default_value = "guard.json")]
    pub(crate) out: PathBuf,
    /// Print JSON on stdout instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("what").required(true).multiple(true).args(["limit", "margin", "questions"]),
    after_help = "\
Examples:
  steady plan-size --limit 1%                           NDR at most 1 %, if nothing breaks
  steady plan-size --limit 2% --expect 0.5%             .. if one question in 200 does
  steady plan-size --margin 1% --flips 5%               accuracy not a point lower, if one verdict in 20 flips
  steady plan-size --limit 2% --per-image 4 --alike 30% .. with four questions about an image, which go together a little
  steady plan-size --questions 300 --flips 5%           what 300 questions can show"
)]
pub(crate) struct PlanSizeArgs {
    /// Show that NDR (or DR) is at most this
    #[arg(long, value_name = "SHARE")]
    pub(crate) limit: Option<Share>,
    /// What it is believed to be [default: nothing changes]
    #[arg(long, value_name = "SHARE", requires = "limit")]
    pub(crate) expect: Option<Share>,
    /// Show that accuracy falls by less than this
    #[arg(long, value_name = "SHARE")]
    pub(crate) margin: Option<Share>,
    /// How far it is believed to fall [default: not at all]
    #[arg(long, value_name = "SHARE", requires = "margin")]
    pub(crate) drop: Option<Share>,
    /// Say what so many questions can show
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) questions: Option<u64>,
    /// Share of the verdicts that is believed to flip, either way: NDR + PDR
    #[arg(long, value_name = "SHARE", default_value = "5%")]
    pub(crate) flips: Share,
    /// Questions about each image
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) per_image: u32,
    /// How far questions about one image stand or fall together: their intraclass correlation [default: all the way]
    #[arg(long, value_name = "SHARE", requires = "per_image")]
    pub(crate) alike: Option<Share>,
    /// One-sided confidence of the verdict
    #[arg(long, value_name = "SHARE", default_value = "95%")]
    pub(crate) confidence: Share,
    /// Chance of a verdict, if what is believed is true
    #[arg(long, value_name = "SHARE", default_value = "80%")]
    pub(crate) power: Share,
    /// Print JSON on stdout instead of text
    #[arg(long)]
    pub(crate) json: bool,
}
