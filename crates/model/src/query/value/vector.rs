//! Whether a text or numbers can be a vector of a field's form and dimensions.

use super::shorten;
use crate::{Code, Refusal, entity::VectorForm};

/// Checks `[0.1, …]`.
pub(super) fn check_numbers(
    field: &str,
    text: &str,
    dimensions: u32,
    form: VectorForm,
) -> Result<(), Refusal> {
    let inside = text.trim().strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let Some(inside) = inside else {
        return Err(vector_refusal(field, "is not written as a vector")
            .detail(shorten(text))
            .hint("write [0.1,0.2]"));
    };
    let numbers =
        inside.split(',').map(|number| number.trim().parse::<f64>().ok().filter(|n| n.is_finite()));
    let numbers: Vec<_> = if inside.trim().is_empty() { Vec::new() } else { numbers.collect() };
    check_elements(field, numbers.into_iter(), dimensions, form)
}

/// Checks numbers; `None` stands for one that is none, or not finite.
pub(crate) fn check_elements(
    field: &str,
    numbers: impl ExactSizeIterator<Item = Option<f64>>,
    dimensions: u32,
    form: VectorForm,
) -> Result<(), Refusal> {
    check_dimensions(field, numbers.len(), dimensions)?;
    // Halfway to the next representable number rounds up to infinity.
    let greatest = if form == VectorForm::Halfvec { 65_519.0 } else { f64::from(f32::MAX) };
    for (at, number) in numbers.enumerate() {
        let place = format!("element {}", at + 1);
        match number {
            None => {
                return Err(vector_refusal(field, "has an element that is not a finite number")
                    .detail(place));
            }
            Some(number) if number.abs() > greatest => {
                return Err(
                    vector_refusal(field, "has an element out of its type's range").detail(place)
                );
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn check_dimensions(field: &str, count: usize, dimensions: u32) -> Result<(), Refusal> {
    if u32::try_from(count) == Ok(dimensions) {
        return Ok(());
    }
    Err(vector_refusal(field, "has the wrong number of dimensions")
        .detail(format!("{count} instead of {dimensions}")))
}

fn vector_refusal(field: &str, what: &str) -> Refusal {
    Refusal::new(Code::Vector, format!("a vector for {field} {what}"))
}

pub(super) fn check_bits(field: &str, text: &str, dimensions: u32) -> Result<(), Refusal> {
    if !text.chars().all(|c| c == '0' || c == '1') {
        return Err(vector_refusal(field, "is not written in bits")
            .detail(shorten(text))
            .hint("write 0110"));
    }
    check_dimensions(field, text.len(), dimensions)
}

/// Checks `{1:0.5,7:2}/10`.
pub(super) fn check_sparse(field: &str, text: &str, dimensions: u32) -> Result<(), Refusal> {
    let shape = || {
        let refusal = vector_refusal(field, "is not written as a sparse vector");
        refusal.detail(shorten(text)).hint("write {index:value,…}/dimensions, counting from 1")
    };
    let (inside, count) =
        text.trim().strip_prefix('{').and_then(|text| text.rsplit_once("}/")).ok_or_else(shape)?;
    check_dimensions(field, count.trim().parse().map_err(|_| shape())?, dimensions)?;
    for element in inside.split(',').filter(|element| !element.trim().is_empty()) {
        let (index, number) = element.split_once(':').ok_or_else(shape)?;
        let index: u32 = index.trim().parse().map_err(|_| shape())?;
        let number: f64 = number.trim().parse().map_err(|_| shape())?;
        if index == 0 || index > dimensions {
            return Err(vector_refusal(field, "has an index outside its dimensions")
                .detail(index.to_string()));
        }
        if !number.is_finite() || number.abs() > f64::from(f32::MAX) {
            let refusal =
                vector_refusal(field, "has an element that is not a finite number of its type");
            return Err(refusal.detail(format!("index {index}")));
        }
    }
    Ok(())
}
