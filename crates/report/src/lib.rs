//! What a stability report is: outcomes, rates, intervals, tests, the share link.
