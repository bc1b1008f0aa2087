//! Optional members of items and events, read without trusting their types: one of another type than expected counts as absent.

use serde::{Deserialize, Deserializer};

use crate::formats::lenient;
pub(crate) use crate::formats::lenient::{flag, text};

/// A whole number that is not negative.
pub(crate) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number = lenient::number(deserializer)?;
    Ok(number
        .filter(|number| (0.0..1e15).contains(number))
        .map(|number| number as u64))
}

/// An object as a struct; the default where it is no object.
pub(crate) fn object<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    lenient::object(deserializer).map(Option::unwrap_or_default)
}
