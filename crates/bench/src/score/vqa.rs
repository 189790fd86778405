//! VQA accuracy: what ten people answered, after the answer normaliser of the VQA challenge (Antol et al. 2015; `EvalAIAnswerProcessor`, as lmms-eval 0.7.3
//! and pythia have it). Its quirks are kept: a period goes unless a digit follows, 32 of them at most; a sign with a space beside it, or any sign where a
//! comma stands between digits, vanishes instead of becoming a space. Digits are ASCII digits here, any decimal digit there.

/// The whole normaliser (TextVQA, VizWiz, OK-VQA).
pub(super) fn normal(answer: &str) -> String {
    let answer = answer.to_lowercase().replace([',', '?'], "").replace("'s", " 's");
    partial(answer.trim())
}

/// Without its first step (VQAv2).
pub(super) fn partial(answer: &str) -> String {
    let answer = answer.replace(['\n', '\t'], " ");
    digits_and_articles(&punctuation(answer.trim()))
}

const SIGNS: [char; 21] = [';', '/', '[', ']', '"', '{', '}', '(', ')', '=', '+', '\\', '_', '-', '>', '<', '@', '`', ',', '?', '!'];

/// As `PERIOD_STRIP.sub("", text, re.UNICODE)`, where the flag is taken for the number of replacements.
const MOST_PERIODS: usize = 32;

fn punctuation(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let digit = |at: Option<usize>| at.and_then(|at| characters.get(at)).is_some_and(char::is_ascii_digit);
    let comma_in_number = (0..characters.len()).any(|start| {
        let run = characters[start..].iter().take_while(|c| **c == ',').count();
        run > 0 && digit(start.checked_sub(1)) && digit(Some(start + run))
    });
    let mut out = text.to_owned();
    for sign in SIGNS {
        let beside_space = text.contains(&format!("{sign} ")) || text.contains(&format!(" {sign}"));
        out = out.replace(sign, if beside_space || comma_in_number { "" } else { " " });
    }
    let characters: Vec<char> = out.chars().collect();
    let mut removed = 0;
    let kept = characters.iter().enumerate().filter(|(at, c)| {
        let goes = **c == '.' && removed < MOST_PERIODS && !characters.get(at + 1).is_some_and(char::is_ascii_digit);
        removed += usize::from(goes);
        !goes
    });
    kept.map(|(_, c)| *c).collect()
}

const NUMBERS: [(&str, &str); 12] = [
    ("none", "0"),
    ("zero", "0"),
    ("one", "1"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
];

fn digits_and_articles(text: &str) -> String {
    let text = text.to_lowercase();
    let looked_up = |word, table: &[(&'static str, &'static str)]| table.iter().find(|(known, _)| *known == word).map(|(_, meant)| *meant);
    let words = text.split_whitespace().map(|word| looked_up(word, &NUMBERS).unwrap_or(word));
    let words = words.filter(|word| !["a", "an", "the"].contains(word)).map(|word| looked_up(word, &CONTRACTIONS).unwrap_or(word));
    words.collect::<Vec<_>>().join(" ")
}

/// The mean, over every answer left out in turn, of a third for each of the others that is the same, at most 1.
pub(super) fn accuracy(answer: &str, given: &[String]) -> f32 {
    let (all, same) = (given.len() as f64, given.iter().filter(|other| *other == answer).count() as f64);
    let worth = |others: f64| (others / 3.0).min(1.0);
    if all == 0.0 { 0.0 } else { ((same * worth(same - 1.0) + (all - same) * worth(same)) / all) as f32 }
}

/// Misspelt contractions, from the public evaluation code of the VQA challenge.
const CONTRACTIONS: [(&str, &str); 120] = [
    ("'ow'sat", "'ow's'at"),
    ("'ows'at", "'ow's'at"),
    ("I'dve", "I'd've"),
    ("Id've", "I'd've"),
    ("Im", "I'm"),
    ("Ive", "I've"),
    ("aint", "ain't"),
    ("arent", "aren't"),
    ("cant", "can't"),
    ("couldn'tve", "couldn't've"),
    ("couldnt", "couldn't"),
    ("couldnt've", "couldn't've"),
    ("couldve", "could've"),
    ("didnt", "didn't"),
    ("doesnt", "doesn't"),
    ("dont", "don't"),
    ("hadn'tve", "hadn't've"),
    ("hadnt", "hadn't"),
    ("hadnt've", "hadn't've"),
    ("hasnt", "hasn't"),
    ("havent", "haven't"),
    ("he'dve", "he'd've"),
    ("hed", "he'd"),
    ("hed've", "he'd've"),
    ("hes", "he's"),
    ("howd", "how'd"),
    ("howll", "how'll"),
    ("hows", "how's"),
    ("isnt", "isn't"),
    ("it'dve", "it'd've"),
    ("itd", "it'd"),
    ("itd've", "it'd've"),
    ("itll", "it'll"),
    ("let's", "let's"),
    ("maam", "ma'am"),
    ("mightn'tve", "mightn't've"),
    ("mightnt", "mightn't"),
    ("mightnt've", "mightn't've"),
    ("mightve", "might've"),
    ("mustnt", "mustn't"),
    ("mustve", "must've"),
    ("neednt", "needn't"),
    ("notve", "not've"),
    ("oclock", "o'clock"),
    ("oughtnt", "oughtn't"),
    ("ow's'at", "'ow's'at"),
    ("shant", "shan't"),
    ("she'dve", "she'd've"),
    ("she's", "she's"),
    ("shed've", "she'd've"),
    ("shouldn'tve", "shouldn't've"),
    ("shouldnt", "shouldn't"),
    ("shouldnt've", "shouldn't've"),
    ("shouldve", "should've"),
    ("somebody'd", "somebodyd"),
    ("somebody'dve", "somebody'd've"),
    ("somebodyd've", "somebody'd've"),
    ("somebodyll", "somebody'll"),
    ("somebodys", "somebody's"),
    ("someone'dve", "someone'd've"),
    ("someoned", "someone'd"),
    ("someoned've", "someone'd've"),
    ("someonell", "someone'll"),
    ("someones", "someone's"),
    ("something'dve", "something'd've"),
    ("somethingd", "something'd"),
    ("somethingd've", "something'd've"),
    ("somethingll", "something'll"),
    ("thats", "that's"),
    ("there'dve", "there'd've"),
    ("thered", "there'd"),
    ("thered've", "there'd've"),
    ("therere", "there're"),
    ("theres", "there's"),
    ("they'dve", "they'd've"),
    ("theyd", "they'd"),
    ("theyd've", "they'd've"),
    ("theyll", "they'll"),
    ("theyre", "they're"),
    ("theyve", "they've"),
    ("twas", "'twas"),
    ("wasnt", "wasn't"),
    ("we'dve", "we'd've"),
    ("wed've", "we'd've"),
    ("werent", "weren't"),
    ("weve", "we've"),
    ("whatll", "what'll"),
    ("whatre", "what're"),
    ("whats", "what's"),
    ("whatve", "what've"),
    ("whens", "when's"),
    ("whered", "where'd"),
    ("wheres", "where's"),
    ("whereve", "where've"),
    ("who'dve", "who'd've"),
    ("whod", "who'd"),
    ("whod've", "who'd've"),
    ("wholl", "who'll"),
    ("whos", "who's"),
    ("whove", "who've"),
    ("whyll", "why'll"),
    ("whyre", "why're"),
    ("whys", "why's"),
    ("wont", "won't"),
    ("wouldn'tve", "wouldn't've"),
    ("wouldnt", "wouldn't"),
    ("wouldnt've", "wouldn't've"),
    ("wouldve", "would've"),
    ("y'all'dve", "y'all'd've"),
    ("y'alld've", "y'all'd've"),
    ("y'allll", "y'all'll"),
    ("yall", "y'all"),
    ("yall'd've", "y'all'd've"),
    ("yall'll", "y'all'll"),
    ("you'dve", "you'd've"),
    ("youd", "you'd"),
    ("youd've", "you'd've"),
    ("youll", "you'll"),
    ("youre", "you're"),
    ("youve", "you've"),
];
