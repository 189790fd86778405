//! Division as Python does it: what is left has the divisor's sign, and nothing is divided by 0.

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};

use super::print::repr;
use super::printf;

/// `left % right`: a formatted string, or what is left of a division.
pub(super) fn remainder(left: &Value, right: &Value) -> Result<Value, Error> {
    if let Some(format) = left.as_str() {
        return printf::percent(format, right).map(Value::from);
    }
    let whole = |left: i128, right: i128| {
        let rest = left.checked_rem(right)?;
        Some(if rest != 0 && (rest < 0) != (right < 0) { rest + right } else { rest })
    };
    let float = |left: f64, right: f64| {
        let rest = left % right;
        if rest != 0.0 && (rest < 0.0) != (right < 0.0) { rest + right } else { rest }
    };
    divided("%", left, right, whole, float)
}

/// `left // right`.
pub(super) fn whole_quotient(left: &Value, right: &Value) -> Result<Value, Error> {
    let whole = |left: i128, right: i128| {
        let (quotient, rest) = (left.checked_div(right)?, left.checked_rem(right)?);
        Some(if rest != 0 && (rest < 0) != (right < 0) { quotient - 1 } else { quotient })
    };
    divided("//", left, right, whole, |left, right| (left / right).floor())
}

/// `left / right`, always a float.
pub(super) fn quotient(left: &Value, right: &Value) -> Result<Value, Error> {
    match (float(left), float(right)) {
        (Some(a), Some(b)) if b != 0.0 => Ok(Value::from(a / b)),
        _ => Err(failed("/", left, right)),
    }
}

fn divided(
    operator: &str,
    left: &Value,
    right: &Value,
    of_whole: impl Fn(i128, i128) -> Option<i128>,
    of_floats: impl Fn(f64, f64) -> f64,
) -> Result<Value, Error> {
    if let (Some(a), Some(b)) = (whole(left), whole(right)) {
        let result = of_whole(a, b).and_then(|result| i64::try_from(result).ok());
        return result.map(Value::from).ok_or_else(|| failed(operator, left, right));
    }
    match (float(left), float(right)) {
        (Some(a), Some(b)) if b != 0.0 => Ok(Value::from(of_floats(a, b))),
        _ => Err(failed(operator, left, right)),
    }
}

/// An integer, or the one that a truth value is.
fn whole(value: &Value) -> Option<i128> {
    match value.kind() {
        ValueKind::Bool => Some(i128::from(value.is_true())),
        ValueKind::Number if value.is_integer() => i128::try_from(value.clone()).ok(),
        _ => None,
    }
}

fn float(value: &Value) -> Option<f64> {
    match value.kind() {
        ValueKind::Number => f64::try_from(value.clone()).ok(),
        _ => whole(value).map(|whole| whole as f64),
    }
}

fn failed(operator: &str, left: &Value, right: &Value) -> Error {
    let problem = format!("{} {operator} {} cannot be computed", repr(left), repr(right));
    Error::new(ErrorKind::InvalidOperation, problem)
}
