//! How numbers are written for people: in tables, findings and charts alike.

/// A fraction in percent with one decimal, without the sign: `12.3`.
pub(crate) fn percent(fraction: f64) -> String {
    format!("{:.1}", 100.0 * fraction)
}

/// A difference of fractions in points with one decimal and its sign: `-0.7`, `+1.0`, `0.0`.
pub(crate) fn points(difference: f64) -> String {
    let text = format!("{:+.1}", 100.0 * difference);
    if text == "+0.0" || text == "-0.0" { "0.0".to_owned() } else { text }
}

/// A p-value with the digits that matter.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.001 {
        "<0.001".to_owned()
    } else if p < 0.1 {
        format!("{p:.3}")
    } else {
        format!("{p:.2}")
    }
}

/// A p-value as a relation: `=0.85`, `<0.001`.
pub(crate) fn p_relation(p: f64) -> String {
    let value = p_value(p);
    if value.starts_with('<') { value } else { format!("={value}") }
}

/// Three significant digits with a decimal prefix: `7.34 M`, `512`, `0`.
pub(crate) fn scaled(number: f64) -> String {
    let (number, prefix) = match number.abs() {
        n if n < 999.5 => (number, ""),
        n if n < 999.5e3 => (number / 1e3, " k"),
        n if n < 999.5e6 => (number / 1e6, " M"),
        n if n < 999.5e9 => (number / 1e9, " G"),
        n if n < 999.5e12 => (number / 1e12, " T"),
        _ => (number / 1e15, " P"),
    };
    let digits = match number.abs() {
        n if n >= 99.95 || n == 0.0 || (prefix.is_empty() && n.fract() == 0.0) => 0,
        n if n >= 9.995 => 1,
        _ => 2,
    };
    format!("{number:.digits$}{prefix}")
}

/// A small positive quantity, such as a margin in logits or a divergence in nats.
pub(crate) fn small(number: f64) -> String {
    if number != 0.0 && number.abs() < 0.001 { format!("{number:.1e}") } else { format!("{number:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_people_write_them() {
        assert_eq!([percent(0.123_4), percent(1.0), percent(0.0)], ["12.3", "100.0", "0.0"]);
        assert_eq!([points(-0.007), points(0.01), points(-0.000_1), points(0.0)], ["-0.7", "+1.0", "0.0", "0.0"]);
        assert_eq!([p_value(0.850_5), p_value(0.022_46), p_value(1.6e-30), p_value(1.0)], ["0.85", "0.022", "<0.001", "1.00"]);
        assert_eq!([p_relation(0.850_5), p_relation(1.6e-30)], ["=0.85", "<0.001"]);
        assert_eq!(
            [scaled(0.0), scaled(144.0), scaled(48.5), scaled(7_340_032.0), scaled(1.5e9), scaled(999_700.0)],
            ["0", "144", "48.5", "7.34 M", "1.50 G", "1.00 M"]
        );
        assert_eq!([small(0.0), small(0.25), small(0.000_03)], ["0.000", "0.250", "3.0e-5"]);
    }
}
