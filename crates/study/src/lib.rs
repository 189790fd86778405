//! The experiment: plan, work, records, comparison, resume.
