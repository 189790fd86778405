//! Filters and the parts of the page that are shown by themselves.

use steady_report::{Filter, Outcome, Section};

use crate::fixture;

fn ids(filter: &Filter) -> Vec<String> {
    let report = fixture::report();
    report.questions_for(filter).into_iter().map(|i| report.questions()[i].id.clone()).collect()
}

#[test]
fn each_part_narrows_down() {
    let all = Filter::default();
    assert_eq!(ids(&all), ["existence/0", "existence/2", "reading/1"]);
    assert_eq!(ids(&Filter { outcome: Some(Outcome::Broken), ..all.clone() }), ["existence/0"]);
    assert_eq!(ids(&Filter { family: Some("reading".into()), ..all.clone() }), ["reading/1"]);
    assert_eq!(ids(&Filter { acceleration: Some(0), ..all.clone() }).len(), 3);
    // int8 changed nothing, and what stayed is not listed even when asked for
    assert!(ids(&Filter { acceleration: Some(1), ..all.clone() }).is_empty());
    assert!(ids(&Filter { outcome: Some(Outcome::Same), ..all.clone() }).is_empty());
    assert_eq!(ids(&Filter { text: " BLUE star".into(), ..all.clone() }), ["existence/2"]);
    assert_eq!(ids(&Filter { text: "4".into(), ..all.clone() }), ["reading/1"]);
    assert!(ids(&Filter { family: Some("reading".into()), outcome: Some(Outcome::Broken), ..all }).is_empty());
}

/// The parts are those of the whole page, word for word.
#[test]
fn parts_are_those_of_the_page() {
    let report = fixture::perturbed_report();
    let page = report.html(&std::collections::BTreeMap::new());
    // no layers of these were put back into float: `sensitivity` looks at a report that has some
    for section in Section::ALL.into_iter().filter(|section| *section != Section::Sensitivity) {
        let part = report.section(section);
        assert!(part.len() > 200 && page.contains(&part), "{section:?}");
    }
    let card = report.card(0, &Filter::default());
    assert!(card.len() > 200 && page.contains(&card));
}

#[test]
fn a_card_shows_the_lines_that_fit() {
    let card = |filter: &Filter| fixture::report().card(0, filter);
    let lines = |card: &str| card.matches("data-acceleration").count();
    assert_eq!(lines(&card(&Filter::default())), 2);
    assert_eq!(lines(&card(&Filter { acceleration: Some(1), ..Filter::default() })), 1);
    assert_eq!(lines(&card(&Filter { outcome: Some(Outcome::Broken), ..Filter::default() })), 1);
}
