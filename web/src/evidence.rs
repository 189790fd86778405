//! Which questions of the open report are shown. Table, question view and address follow it.

use leptos::prelude::*;
use steady_report::{Column, Filter, Order, QuestionRow, Report};
use wasm_bindgen::JsValue;

use crate::address::Address;
use crate::source;

/// What was asked for, and how to ask for it.
#[derive(Clone, Copy)]
pub(crate) struct Evidence {
    pub(crate) filter: RwSignal<Filter>,
    /// `None` leaves it to the view.
    pub(crate) order: RwSignal<Option<Order>>,
    /// What the page's address says.
    pub(crate) address: RwSignal<Address>,
}

impl Evidence {
    pub(crate) fn new() -> Self {
        Self { filter: RwSignal::new(Filter::everything()), order: RwSignal::new(None), address: RwSignal::new(Address::default()) }
    }

    /// Shows of a report what the address says.
    pub(crate) fn follow(self, report: &Report) {
        let (filter, order) = self.address.with_untracked(|address| address.shown(report));
        self.filter.maybe_update(|now| std::mem::replace(now, filter.clone()) != filter);
        self.order.maybe_update(|now| std::mem::replace(now, order) != order);
    }

    /// Puts what is shown into the address: as an entry of its own, to which Back leads, or in place of this one.
    pub(crate) fn tell(self, report: &Report, entry: bool) {
        let (filter, order) = (self.filter.get_untracked(), self.order.get_untracked());
        let told = self.address.with_untracked(|address| address.showing(report, &filter, order));
        if self.address.with_untracked(|address| *address == told) {
            return;
        }
        let here = format!("{}#{}", source::bare_address(), told.fragment(source::encoded));
        self.address.set(told);
        if let Ok(history) = window().history() {
            let (nothing, here) = (JsValue::NULL, Some(here.as_str()));
            // a browser that takes no more entries for a while still shows the questions
            drop(if entry { history.push_state_with_url(&nothing, "", here) } else { history.replace_state_with_url(&nothing, "", here) });
        }
    }

    /// The order, which is `otherwise` until somebody chooses.
    pub(crate) fn order(self, otherwise: Order) -> Order {
        self.order.get().unwrap_or(otherwise)
    }

    /// Orders by a column, or the other way round where it is ordered by it.
    pub(crate) fn order_by(self, by: Column, otherwise: Order) {
        let now = self.order.get_untracked().unwrap_or(otherwise);
        self.order.set(Some(Order { by, reversed: now.by == by && !now.reversed }));
    }

    /// The address of a question of the report, with what is shown behind it.
    pub(crate) fn address_of(self, question: &QuestionRow) -> String {
        self.address
            .with(|address| format!("#{}", address.with_question(&question.id, question.perturbation.as_deref()).fragment(source::encoded)))
    }
}
