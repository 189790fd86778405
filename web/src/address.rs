//! What the page's address says: which view, which of its questions, and what is shown of them. It says all of that, so a reload, another tab and somebody else
//! see the same.
//!
//! The fragment is `view&key=value&..`, where a view is nothing (the study), `r=` and a report, `src=` and the address of one, or a word.

use steady_bench::perturb::CLEAN;
use steady_report::share::FRAGMENT;
use steady_report::{Became, Column, Filter, Order, Report};

/// What stands before the address of a report.
const SOURCE: &str = "src=";
/// The fragment of the Playground.
pub(crate) const PLAYGROUND: &str = "playground";
/// The fragment of a report that came from a file.
pub(crate) const FILE: &str = "report";
/// The fragment of the study that was finished last.
pub(crate) const LAST: &str = "last";

/// Keys behind the view.
const QUESTION: &str = "question";
const PERTURB: &str = "perturb";
const ACCELERATION: &str = "accel";
const OUTCOME: &str = "outcome";
const IMAGE: &str = "image";
const FAMILY: &str = "family";
const MARGIN: &str = "margin";
const TEXT: &str = "text";
const SORT: &str = "sort";
const KEYS: [&str; 9] = [QUESTION, PERTURB, ACCELERATION, OUTCOME, IMAGE, FAMILY, MARGIN, TEXT, SORT];

/// What stands before the name of a column that is followed backwards.
const REVERSED: &str = "-";

/// Which view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum View {
    /// The Study view.
    #[default]
    Study,
    /// The study that was finished last.
    Last,
    /// A report in the link itself.
    Link(String),
    /// A report at that address.
    Source(String),
    /// The report that came from a file.
    File,
    /// The Playground view.
    Playground,
}

/// A question, and what is done to its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sought {
    pub(crate) id: String,
    pub(crate) under: String,
}

/// All that an address says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) view: View,
    pub(crate) question: Option<Sought>,
    /// What is shown of the questions, by its keys.
    shown: Vec<(String, String)>,
}

impl Address {
    /// Reads a fragment; `None` where it names a place in the page. `decode` undoes the escapes of addresses.
    pub(crate) fn parse(fragment: &str, decode: impl Fn(&str) -> String) -> Option<Self> {
        let mut parts: Vec<String> = Vec::new();
        for part in fragment.split('&') {
            let known = part.split_once('=').is_some_and(|(key, _)| KEYS.contains(&key));
            match parts.last_mut() {
                // an address of a report may have such a sign itself
                Some(last) if !known && last.starts_with(SOURCE) => last.extend(["&", part]),
                _ => parts.push(part.to_owned()),
            }
        }
        let named = |part: &String| part.split_once('=').is_some_and(|(key, _)| KEYS.contains(&key));
        let mut parts = parts.into_iter().peekable();
        let view = match parts.next_if(|part| !named(part)) {
            None => View::Study,
            Some(part) => match part.as_str() {
                "" => View::Study,
                PLAYGROUND => View::Playground,
                FILE => View::File,
                LAST => View::Last,
                part => {
                    let after = |mark: &str| part.strip_prefix(mark).map(&decode);
                    let link = after(FRAGMENT).map(|payload| View::Link(mailed(&payload)));
                    link.or_else(|| after(SOURCE).map(|address| View::Source(address.trim().to_owned())))?
                }
            },
        };
        let mut address = Self { view, ..Self::default() };
        let mut under = CLEAN.to_owned();
        for part in parts {
            let Some((key, value)) = part.split_once('=') else { continue };
            match key {
                QUESTION => address.question = Some(Sought { id: decode(value), under: String::new() }),
                PERTURB => under = decode(value),
                _ => address.shown.push((key.to_owned(), decode(value))),
            }
        }
        if let Some(question) = &mut address.question {
            question.under = under;
        }
        Some(address)
    }

    /// The fragment that says this. `encode` escapes what an address cannot hold.
    pub(crate) fn fragment(&self, encode: impl Fn(&str) -> String) -> String {
        let view = match &self.view {
            View::Study => String::new(),
            View::Last => LAST.to_owned(),
            View::Link(payload) => format!("{FRAGMENT}{payload}"),
            View::Source(address) => format!("{SOURCE}{}", encode(address)),
            View::File => FILE.to_owned(),
            View::Playground => PLAYGROUND.to_owned(),
        };
        let pair = |key: &str, value: &str| format!("{key}={}", encode(value));
        let question = self.question.as_ref().map(|question| pair(QUESTION, &question.id));
        let under = self.question.as_ref().filter(|question| question.under != CLEAN).map(|question| pair(PERTURB, &question.under));
        let shown = self.shown.iter().map(|(key, value)| pair(key, value));
        let parts: Vec<String> = Some(view).filter(|view| !view.is_empty()).into_iter().chain(question).chain(under).chain(shown).collect();
        parts.join("&")
    }

    /// The same with a question in front.
    pub(crate) fn with_question(&self, id: &str, under: Option<&str>) -> Self {
        let question = Sought { id: id.to_owned(), under: under.unwrap_or(CLEAN).to_owned() };
        Self { question: Some(question), ..self.clone() }
    }

    /// The same without a question in front.
    pub(crate) fn behind(&self) -> Self {
        Self { question: None, ..self.clone() }
    }

    /// The same with these questions of the report in this order.
    pub(crate) fn showing(&self, report: &Report, filter: &Filter, order: Option<Order>) -> Self {
        let spec = |i: usize| report.accelerations().get(i).map(|acceleration| acceleration.spec.clone());
        let became = Some(filter.became).filter(|became| *became != Became::Anything);
        let image = |condition: usize| match condition.checked_sub(1) {
            None => Some(CLEAN.to_owned()),
            Some(i) => report.plan().perturbations.get(i).cloned(),
        };
        let sort = order.and_then(|order| {
            let name = match order.by {
                Column::Worst => "worst".to_owned(),
                Column::Asked => "asked".to_owned(),
                Column::Family => "family".to_owned(),
                Column::Margin => "margin".to_owned(),
                Column::Baseline => "baseline".to_owned(),
                Column::Acceleration(i) => spec(i)?,
            };
            Some(if order.reversed { format!("{REVERSED}{name}") } else { name })
        });
        let shown = [
            (ACCELERATION, filter.acceleration.and_then(spec)),
            (OUTCOME, became.map(|became| became.name().to_owned())),
            (IMAGE, filter.condition.and_then(image)),
            (FAMILY, filter.family.clone()),
            (MARGIN, filter.margin.map(|margin| margin.to_string())),
            (TEXT, Some(filter.text.clone()).filter(|text| !text.is_empty())),
            (SORT, sort),
        ];
        let shown = shown.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        Self { shown, ..self.clone() }
    }

    /// Which questions of the report are shown, and in which order where that is said. What does not occur in the report is not asked for.
    pub(crate) fn shown(&self, report: &Report) -> (Filter, Option<Order>) {
        let value = |key: &str| self.shown.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_str());
        let place = |spec: &str| report.accelerations().iter().position(|acceleration| acceleration.spec == spec);
        let perturbations = &report.plan().perturbations;
        let condition = |spec: &str| match spec {
            CLEAN => Some(0),
            spec => perturbations.iter().position(|perturbation| perturbation == spec).map(|i| i + 1),
        };
        let filter = Filter {
            acceleration: value(ACCELERATION).and_then(place),
            became: value(OUTCOME).and_then(Became::named).unwrap_or(Became::Anything),
            condition: value(IMAGE).and_then(condition),
            family: value(FAMILY).map(str::to_owned),
            margin: value(MARGIN).and_then(|margin| margin.parse().ok()),
            text: value(TEXT).unwrap_or_default().to_owned(),
        };
        let order = value(SORT).and_then(|sort| {
            let (reversed, name) = sort.strip_prefix(REVERSED).map_or((false, sort), |name| (true, name));
            let by = match name {
                "worst" => Column::Worst,
                "asked" => Column::Asked,
                "family" => Column::Family,
                "margin" => Column::Margin,
                "baseline" => Column::Baseline,
                spec => Column::Acceleration(place(spec)?),
            };
            Some(Order { by, reversed })
        });
        (filter, order)
    }
}

/// What a mail makes of a link is undone: it breaks lines, and takes the sentence's end for the link's.
fn mailed(payload: &str) -> String {
    let payload: String = payload.chars().filter(|c| !c.is_whitespace()).collect();
    payload.trim_end_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).to_owned()
}

/// What someone typed to open a report: a link to it, its payload alone, or the address of a `report.json`.
pub(crate) fn typed(text: &str) -> String {
    let text = text.trim().trim_matches(['<', '>']);
    let fragment = text.split_once('#').map_or(text, |(_, fragment)| fragment);
    if fragment.starts_with(FRAGMENT) || text.contains('#') && fragment.starts_with(SOURCE) {
        fragment.split_whitespace().collect()
    } else {
        format!("{SOURCE}{text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(fragment: &str) -> Option<Address> {
        Address::parse(fragment, |text| text.replace("%26", "&"))
    }

    fn written(address: &Address) -> String {
        address.fragment(|text| text.replace('&', "%26"))
    }

    #[test]
    fn an_address_comes_back_as_it_was_said() {
        for fragment in [
            "",
            "last",
            "report",
            "playground",
            "r=AQ-_",
            "r=AQ&question=scan/3&perturb=noise=40&outcome=broken",
            "src=https://x.org/report.json?a=1%26b=2&question=q",
            "question=q",
            "question=q&perturb=blur=1+jpeg=30",
            "accel=w4:rtn,g=8+divprune:keep=0.5&outcome=repaired&sort=-margin",
        ] {
            assert_eq!(written(&parse(fragment).unwrap()), fragment);
        }
        assert_eq!(parse("rates"), None);
    }

    #[test]
    fn an_address_of_a_report_may_hold_signs_of_ours() {
        let Address { view, question, .. } = parse("src=https://x.org/r?a=1&b=2&question=q").unwrap();
        assert_eq!(view, View::Source("https://x.org/r?a=1&b=2".to_owned()));
        assert_eq!(question.unwrap(), Sought { id: "q".to_owned(), under: CLEAN.to_owned() });
    }

    #[test]
    fn a_link_survives_mail() {
        for mailed in ["r=AQ-_x", "r=AQ-_x.", "r=AQ-\n _x", "r=AQ-_x).", "r=AQ-_x>,"] {
            assert_eq!(parse(mailed).unwrap().view, View::Link("AQ-_x".to_owned()), "{mailed}");
        }
    }

    #[test]
    fn what_was_typed_is_a_link_a_payload_or_an_address() {
        for (text, fragment) in [
            (" https://x.org/steady/#r=AQ\nBC ", "r=AQBC"),
            ("r=AQ", "r=AQ"),
            ("<https://x.org/#r=AQ>", "r=AQ"),
            ("https://x.org/#src=a.json", "src=a.json"),
            ("https://x.org/report.json", "src=https://x.org/report.json"),
        ] {
            assert_eq!(typed(text), fragment);
        }
    }
}
