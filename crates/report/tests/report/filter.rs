//! Filters and the parts of the page that are shown by themselves.

use steady_report::{Became, Column, Filter, Order, Outcome, Section};

use crate::fixture;

fn ids(filter: &Filter) -> Vec<String> {
    let report = fixture::report();
    report.questions_for(filter, Order::default()).into_iter().map(|i| report.questions()[i].id.clone()).collect()
}

#[test]
fn each_part_narrows_down() {
    let all = Filter::default();
    assert_eq!(ids(&all), ["existence/0", "existence/2", "reading/1"]);
    assert_eq!(ids(&Filter { became: Became::Only(Outcome::Broken), ..all.clone() }), ["existence/0"]);
    assert_eq!(ids(&Filter { family: Some("reading".into()), ..all.clone() }), ["reading/1"]);
    assert_eq!(ids(&Filter { acceleration: Some(0), ..all.clone() }).len(), 3);
    // int8 changed nothing, and under it everything stayed
    assert!(ids(&Filter { acceleration: Some(1), ..all.clone() }).is_empty());
    let stayed = Filter { became: Became::Only(Outcome::Same), ..all.clone() };
    assert_eq!(ids(&Filter { acceleration: Some(0), ..stayed.clone() }), ["existence/1", "reading/0", "reading/2"]);
    assert_eq!(ids(&stayed).len(), 6);
    assert_eq!(ids(&Filter { margin: Some(0.25), ..all.clone() }), ["existence/0", "reading/1"]);
    assert_eq!(ids(&Filter { text: " BLUE star".into(), ..all.clone() }), ["existence/2"]);
    assert_eq!(ids(&Filter { text: "4".into(), ..all.clone() }), ["reading/1"]);
    assert!(ids(&Filter { family: Some("reading".into()), became: Became::Only(Outcome::Broken), ..all }).is_empty());
}

/// The worst are `existence/0` (broken), `existence/2` (repaired) and `reading/1` (changed); leads of the baseline are 0.25, 4, 0.5, 3, 0.125 and 5.
#[test]
fn every_column_orders_and_equals_stay_worst_first() {
    let report = fixture::report();
    let ordered = |by: Column, reversed: bool| -> Vec<&str> {
        let order = report.questions_for(&Filter::everything(), Order { by, reversed });
        order.into_iter().map(|i| report.questions()[i].id.as_str()).collect()
    };
    assert_eq!(ordered(Column::Worst, false), ["existence/0", "existence/2", "reading/1", "existence/1", "reading/0", "reading/2"]);
    assert_eq!(ordered(Column::Asked, true)[0], "reading/2");
    assert_eq!(ordered(Column::Margin, false), ["reading/1", "existence/0", "existence/2", "reading/0", "existence/1", "reading/2"]);
    assert_eq!(ordered(Column::Family, true)[..3], ["reading/1", "reading/0", "reading/2"]);
    // wrong: existence/2 and reading/1
    assert_eq!(ordered(Column::Baseline, false)[..2], ["existence/2", "reading/1"]);
    assert_eq!(ordered(Column::Acceleration(0), false)[..3], ["existence/0", "existence/2", "reading/1"]);
    assert_eq!(ordered(Column::Acceleration(0), true)[..3], ["existence/1", "reading/0", "reading/2"]);
    // under int8 all are equal
    assert_eq!(ordered(Column::Acceleration(1), true), ordered(Column::Worst, false));
    let names = Became::ALL.map(Became::name);
    assert_eq!(names.map(Became::named), Became::ALL.map(Some));
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
    assert_eq!(lines(&card(&Filter { became: Became::Only(Outcome::Broken), ..Filter::default() })), 1);
}
