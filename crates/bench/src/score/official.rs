//! Published benchmarks' own scorers, quirks included: as in lmms-eval 0.7.3, which takes them from the benchmarks' authors. Golden cases are made with
//! its functions (`tests/reference/lmms_eval_cases.py`).

use serde::{Deserialize, Serialize};

use super::{anls, letters, mmmu_open, vqa};

/// How a published benchmark reads an answer and what that is worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfficialScorer {
    /// POPE: "yes" or "no" and nothing else, case and outer spaces aside. "Yes." is neither.
    Pope,
    /// MME: "yes" or "no" without points, their first letter alone, or one of them among the first four characters.
    Mme,
    /// GQA: the whole reply, case and ASCII punctuation aside.
    ExactMatch,
    /// TextVQA, VizWiz, OK-VQA: share of ten people that agree.
    Vqa,
    /// VQAv2: the same after part of the normaliser.
    VqaV2,
    /// ScienceQA: a letter alone, or a capital with a point at the beginning.
    ScienceQa,
    /// AI2D: a capital with a point at the beginning, else the whole reply as with [`Self::ExactMatch`].
    Ai2d,
    /// SEED-Bench: the first character is the letter.
    Seed,
    /// SLAKE: the whole reply without brackets and punctuation; words for yes and no, Chinese ones too, become one.
    Slake,
    /// ChartQA: a number within 5 % of the right one, else the same text, case aside.
    ChartQa,
    /// DocVQA: similarity of the words, nothing below one half.
    Anls,
    /// MMStar: the letter that is given most clearly.
    MmStar,
    /// RealWorldQA: the same where the right answer is a letter, else the whole reply, case and a point at its end aside.
    RealWorldQa,
    /// MMBench: a letter alone in some form, else the one option whose text the reply holds, else as MMStar.
    MmBench {
        /// Texts of options A, B, C, ...
        options: Vec<String>,
    },
    /// MMMU with options: `(B)`, else `B `, else `B.`, else an option's text, of several the last. Where MMMU draws a letter, the reply is unread.
    Mmmu {
        /// Texts of options A, B, C, ...
        options: Vec<String>,
    },
    /// MMMU without options: the right answer is, or is in, something that the reply may mean.
    MmmuOpen,
}

/// Options of MMStar and RealWorldQA: A to D.
const LETTERS: usize = 4;

/// A graded score of at least this counts as right: of ten people at least two said so.
const RIGHT: f32 = 0.5;

impl OfficialScorer {
    /// What it is called in plans.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pope => "pope",
            Self::Mme => "mme",
            Self::ExactMatch => "exact_match",
            Self::Vqa => "vqa",
            Self::VqaV2 => "vqa_v2",
            Self::ScienceQa => "science_qa",
            Self::Ai2d => "ai2d",
            Self::Seed => "seed",
            Self::Slake => "slake",
            Self::ChartQa => "chart_qa",
            Self::Anls => "anls",
            Self::MmStar => "mm_star",
            Self::RealWorldQa => "real_world_qa",
            Self::MmBench { .. } => "mm_bench",
            Self::Mmmu { .. } => "mmmu",
            Self::MmmuOpen => "mmmu_open",
        }
    }

    /// What it reads in a reply to a question with these right answers; `None` where nothing it reads could be right.
    pub(super) fn read(&self, reply: &str, gold: &[String]) -> Option<String> {
        match self {
            Self::Pope => Some(reply.to_lowercase().trim().to_owned()).filter(|answer| ["yes", "no"].contains(&answer.as_str())),
            Self::Mme => mme(reply),
            Self::ExactMatch => Some(bare(reply)),
            Self::Vqa => Some(vqa::normal(reply)),
            Self::VqaV2 => Some(vqa::partial(reply)),
            Self::ScienceQa => science_qa(reply),
            Self::Ai2d => Some(bare(&letter_and_point(reply.trim_start()).map_or_else(|| reply.to_owned(), String::from))),
            Self::Seed => reply.trim().chars().next().map(|letter| letter.to_lowercase().to_string()),
            Self::Slake => Some(slake(reply)),
            Self::ChartQa => Some(match (number(reply), gold.first().and_then(|gold| number(gold))) {
                // as a number wherever the right answer is one that a share can be taken of
                (Some(answer), Some(gold)) if gold != 0.0 => answer.to_string(),
                _ => reply.to_lowercase(),
            }),
            Self::Anls => Some(anls::read(reply)),
            Self::MmStar => letters::extracted(reply, LETTERS).map(String::from),
            Self::RealWorldQa if gold.iter().all(|gold| is_letter(gold)) => letters::extracted(reply, LETTERS).map(String::from),
            Self::RealWorldQa => Some(reply.to_lowercase().trim().trim_end_matches('.').to_owned()),
            Self::MmBench { options } => letters::mm_bench(reply, options).map(String::from),
            Self::Mmmu { options } => letters::mmmu(reply, options).map(String::from),
            Self::MmmuOpen => Some(mmmu_open::read(reply)),
        }
    }

    /// What an answer that was read is worth, 0 to 1.
    pub(super) fn worth(&self, answer: &str, gold: &[String]) -> f32 {
        let same = |gold: &dyn Fn(&str) -> String, given: &[String]| given.iter().any(|given| gold(given) == answer);
        let one = |right: bool| f32::from(u8::from(right));
        match self {
            Self::Pope => one(same(&|gold| gold.to_lowercase().trim().to_owned(), gold)),
            Self::Mme => one(same(&|gold| gold.to_lowercase().trim().replace('.', ""), gold)),
            Self::ExactMatch | Self::Ai2d => one(same(&bare, gold)),
            Self::Vqa => vqa::accuracy(answer, &gold.iter().map(|gold| vqa::normal(gold)).collect::<Vec<_>>()),
            Self::VqaV2 => vqa::accuracy(answer, &gold.iter().map(|gold| vqa::partial(gold)).collect::<Vec<_>>()),
            Self::Slake => one(same(&slake, gold)),
            Self::ScienceQa | Self::Seed => one(same(&|gold| gold.trim().to_lowercase(), gold)),
            Self::ChartQa => one(gold.iter().any(|gold| chart_qa(answer, gold))),
            Self::Anls => anls::similarity(answer, gold),
            Self::MmStar | Self::MmBench { .. } | Self::Mmmu { .. } => one(same(&|gold| gold.trim().to_uppercase(), gold)),
            Self::RealWorldQa if gold.iter().all(|gold| is_letter(gold)) => one(same(&|gold| gold.trim().to_uppercase(), gold)),
            Self::RealWorldQa => one(same(&|gold| gold.trim().to_lowercase(), gold)),
            Self::MmmuOpen => one(gold.iter().any(|gold| mmmu_open::is_right(answer, gold))),
        }
    }

    /// Whether a score counts as right.
    pub(super) fn right(score: f32) -> bool {
        score >= RIGHT
    }
}

/// The letter of the option with this number, counted from 0.
pub(super) fn option_letter(index: usize) -> char {
    char::from(b'A' + index.min(25) as u8)
}

fn is_letter(gold: &str) -> bool {
    ["A", "B", "C", "D"].contains(&gold.trim().to_uppercase().as_str())
}

fn mme(reply: &str) -> Option<String> {
    let reply = reply.to_lowercase().trim().replace('.', "");
    let start: String = reply.chars().take(4).collect();
    let answer = match reply.as_str() {
        "yes" | "y" => "yes",
        "no" | "n" => "no",
        one if one.chars().count() == 1 => return None,
        _ if start.contains("yes") => "yes",
        _ if start.contains("no") => "no",
        _ => return None,
    };
    Some(answer.to_owned())
}

/// Lower case, without ASCII punctuation. Spaces stay.
fn bare(text: &str) -> String {
    text.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect()
}

/// The capital Latin letter before a point that a text begins with.
fn letter_and_point(text: &str) -> Option<char> {
    let mut characters = text.chars();
    let letter = characters.next().filter(char::is_ascii_uppercase)?;
    (characters.next() == Some('.')).then_some(letter)
}

fn science_qa(reply: &str) -> Option<String> {
    let reply = reply.trim();
    let mut characters = reply.chars();
    match (characters.next(), characters.next()) {
        (Some(letter), None) => Some(letter.to_lowercase().to_string()),
        (Some(letter), Some('.')) if letter.is_uppercase() => Some(letter.to_lowercase().to_string()),
        _ => None,
    }
}

fn slake(reply: &str) -> String {
    const CHINESE: &str = "！？｡。＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～、，。；：《》？【】（）";
    let mut text = reply.trim().to_lowercase();
    for (open, close) in [('(', ')'), ('（', '）')] {
        text = without_brackets(&text, open, close);
    }
    let text: String = text.chars().map(|c| if c.is_ascii_punctuation() || CHINESE.contains(c) { ' ' } else { c }).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let meant = match text.as_str() {
        "x ray" | "xray" => "xray",
        "yes" | "yeah" | "yep" | "true" | "是" | "是的" | "有" | "包含" | "可以" | "能" | "会" | "正常" => "yes",
        "no" | "nope" | "false" | "否" | "不是" | "没有" | "无" | "不包含" | "不能" | "不会" | "不可以" | "不正常" | "异常" => {
            "no"
        }
        other => other,
    };
    meant.to_owned()
}

/// With a space in place of whatever stands from an opening bracket to the next closing one.
fn without_brackets(text: &str, open: char, close: char) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((start, end)) = rest.find(open).and_then(|start| Some((start, start + rest[start..].find(close)? + close.len_utf8()))) {
        out.push_str(&rest[..start]);
        out.push(' ');
        rest = &rest[end..];
    }
    out + rest
}

/// As Python's `float`, with a percent sign as a hundredth.
pub(super) fn number(text: &str) -> Option<f64> {
    let (digits, unit) = if text.ends_with('%') { (text.trim_end_matches('%'), 100.0) } else { (text, 1.0) };
    let digits = digits.trim();
    // Between digits Python takes underscores.
    let bytes = digits.as_bytes();
    let between = |at: usize| at > 0 && bytes[at - 1].is_ascii_digit() && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
    if !bytes.iter().enumerate().all(|(at, byte)| *byte != b'_' || between(at)) {
        return None;
    }
    digits.replace('_', "").parse::<f64>().ok().map(|number| number / unit)
}

/// `answer` is what [`OfficialScorer::read`] made of the reply.
fn chart_qa(answer: &str, gold: &str) -> bool {
    match (number(answer), number(gold)) {
        (Some(answer), Some(gold)) if gold != 0.0 => ((answer - gold).abs() / gold.abs()) <= 0.05,
        _ => answer == gold.to_lowercase(),
    }
}
