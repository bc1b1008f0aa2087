//! Members of foreign records that may have any JSON type: a value of another type than expected counts as absent, and the record is not lost.
//!
//! Used as `#[serde(default, deserialize_with = "lenient::text")]`. Broken JSON is still an error: the framework repairs it and tries again.

use std::{borrow::Cow, fmt};

use readalong_model::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// A string, borrowed where nothing in it is escaped.
pub(crate) fn text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Cow<'de, str>>, D::Error> {
    Ok(match Scalar::deserialize(deserializer)? {
        Scalar::Text(text) => Some(text),
        _ => None,
    })
}

/// A number.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Ok(match Scalar::deserialize(deserializer)? {
        Scalar::Number(number) => Some(number),
        _ => None,
    })
}

/// A truth value, which may be a text; anything but `true` is false.
pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(match Scalar::deserialize(deserializer)? {
        Scalar::Flag(flag) => flag,
        Scalar::Text(text) => text.eq_ignore_ascii_case("true"),
        _ => false,
    })
}

/// A point in time as RFC 3339 text or as a number, which may be a text; what is before 1970 says that nothing is known.
pub(crate) fn time<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    let from_number = |number| Timestamp::from_number(number).ok();
    let time = match Scalar::deserialize(deserializer)? {
        Scalar::Text(text) => {
            (text.parse().ok()).or_else(|| text.trim().parse().ok().and_then(from_number))
        }
        Scalar::Number(number) => from_number(number),
        _ => None,
    };
    Ok(time.filter(|time| time.millis() > 0))
}

/// The elements of an array; anything else has none.
pub(crate) fn list<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<&'de RawValue>, D::Error> {
    Ok(list_of(Deserialize::deserialize(deserializer)?))
}

/// An object of a known shape; a value that is no object counts as absent.
pub(crate) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    object_of(Deserialize::deserialize(deserializer)?).map_err(Error::custom)
}

/// The objects of a known shape in an array; other elements are passed over.
pub(crate) fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let elements = list(deserializer)?.into_iter();
    elements
        .filter_map(|element| object_of(element).map_err(Error::custom).transpose())
        .collect()
}

/// The members of an object, in their order and with repeated names; anything else has none.
pub(crate) fn members<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Members<'de>>, D::Error> {
    object(deserializer)
}

/// The members of an object, in their order and with repeated names.
pub(crate) struct Members<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

/// The text of a raw value that is a string; `None` for any other value.
///
/// # Errors
/// It is a string with half of a surrogate pair.
pub(crate) fn text_of(raw: &RawValue) -> Result<Option<Cow<'_, str>>, serde_json::Error> {
    match raw.get().starts_with('"') {
        true => text(&mut serde_json::Deserializer::from_str(raw.get())),
        false => Ok(None),
    }
}

/// A raw value as an object of a known shape; `None` for any other value.
///
/// # Errors
/// Something in the object cannot be read.
pub(crate) fn object_of<'a, T: Deserialize<'a>>(
    raw: &'a RawValue,
) -> Result<Option<T>, serde_json::Error> {
    match raw.get().starts_with('{') {
        true => serde_json::from_str(raw.get()).map(Some),
        false => Ok(None),
    }
}

/// The elements of a raw value that is an array; none for any other value.
pub(crate) fn list_of(raw: &RawValue) -> Vec<&RawValue> {
    match raw.get().starts_with('[') {
        true => serde_json::from_str(raw.get()).unwrap_or_default(),
        false => Vec::new(),
    }
}

/// True where the framework can repair what the error complains of: half of a surrogate pair, a name that stands twice. The record is refused
/// then and comes again.
pub(crate) fn is_repairable(error: &serde_json::Error) -> bool {
    let reason = error.to_string();
    reason.contains("hex escape") || reason.contains("duplicate field")
}

/// What of a JSON value fits into one word.
enum Scalar<'a> {
    Text(Cow<'a, str>),
    Number(f64),
    Flag(bool),
    Other,
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text)))
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Flag(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(key) = members.next_key::<Scalar<'de>>()? {
            let value = members.next_value()?;
            if let Scalar::Text(key) = key {
                list.push((key, value));
            }
        }
        Ok(Members(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct All<'a> {
        #[serde(borrow, default, deserialize_with = "text")]
        text: Option<Cow<'a, str>>,
        #[serde(default, deserialize_with = "number")]
        number: Option<f64>,
        #[serde(default, deserialize_with = "flag")]
        flag: bool,
        #[serde(default, deserialize_with = "object")]
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        #[serde(default, deserialize_with = "flag")]
        flag: bool,
    }

    #[test]
    fn values_of_other_types_count_as_absent() {
        fn all(json: &str) -> All<'_> {
            serde_json::from_str(json).unwrap()
        }
        let full = all(r#"{"text":"a\nb","number":1.5,"flag":true,"inner":{"flag":true}}"#);
        assert_eq!(
            full,
            All {
                text: Some("a\nb".into()),
                number: Some(1.5),
                flag: true,
                inner: Some(Inner { flag: true })
            }
        );
        for other in ["null", "[1,[2]]", r#"{"a":{"b":1}}"#] {
            let json = format!(r#"{{"text":{other},"number":{other},"flag":{other},"inner":7}}"#);
            assert_eq!(
                all(&json),
                All {
                    text: None,
                    number: None,
                    flag: false,
                    inner: None
                },
                "{json}"
            );
        }
        assert!(all(r#"{"flag":"True"}"#).flag && !all(r#"{"flag":"no"}"#).flag);
        assert!(matches!(
            all(r#"{"text":"plain"}"#).text,
            Some(Cow::Borrowed("plain"))
        ));
    }

    #[test]
    fn times_are_texts_or_numbers_or_both() {
        #[derive(Deserialize)]
        struct At(#[serde(deserialize_with = "time")] Option<Timestamp>);
        let millis = |json: &str| {
            let At(at) = serde_json::from_str(json).unwrap();
            at.map(Timestamp::millis)
        };
        for json in [
            r#""2023-11-14T22:13:20.250Z""#,
            "1700000000.25",
            r#""1700000000.25""#,
            "1700000000250",
            "1700000000250000",
        ] {
            assert_eq!(millis(json), Some(1_700_000_000_250), "{json}");
        }
        for json in ["0", "-5", r#""0001-01-01T00:00:00Z""#, "true", r#""soon""#] {
            assert_eq!(millis(json), None, "{json}");
        }
    }

    #[test]
    fn lists_and_members_keep_order_and_repetition() {
        let mut json = serde_json::Deserializer::from_str(r#"{"b":1,"a":[2],"b":3}"#);
        let found: Vec<String> = members(&mut json)
            .unwrap()
            .unwrap()
            .0
            .into_iter()
            .map(|(key, value)| format!("{key}={}", value.get()))
            .collect();
        assert_eq!(found, ["b=1", "a=[2]", "b=3"]);
        let raw: &RawValue = serde_json::from_str(r#"[1,"x",{"y":[]}]"#).unwrap();
        assert_eq!(list_of(raw).len(), 3);
    }
}
