//! Logs of requests: a request and what came back, wherever a record has them.
//!
//! Shapes: what the API answers by itself (`chat.completion`), the input and output files of its batches (`{"custom_id", "body"}`,
//! `{"custom_id", "response": {"body"}}`), `{"request", "response"}` as proxies write it, an answer in `response` beside `messages`, and the `chosen` one of
//! the two answers that preference datasets have.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::lenient;
use crate::head::HeadRecord;

/// Envelopes within each other: a body in a response in a record.
const DEPTH_MAX: usize = 4;

/// What a record, or a part of it, may have.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    role: Option<&'a RawValue>,
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
    #[serde(borrow, default)]
    request: Option<&'a RawValue>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    chosen: Option<&'a RawValue>,
    #[serde(borrow, default)]
    rejected: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::list")]
    choices: Vec<&'a RawValue>,
}

/// One of several answers.
#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
}

/// What came back.
pub(super) enum Answer<'a> {
    Messages(Vec<&'a RawValue>),
    Text(Cow<'a, str>),
}

/// The object with the messages that were sent, where it is not the record itself.
pub(super) fn request(raw: &RawValue) -> Result<Option<&RawValue>, serde_json::Error> {
    let mut raw = raw;
    for _ in 0..DEPTH_MAX {
        let Some(envelope) = lenient::object_of::<Envelope<'_>>(raw)? else {
            return Ok(None);
        };
        if envelope.messages.is_some() {
            return Ok(Some(raw));
        }
        match envelope.request.or(envelope.body) {
            Some(inner) => raw = inner,
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// What came back for a request. Of several answers the first is the one that was taken.
pub(super) fn answer(raw: &RawValue) -> Result<Option<Answer<'_>>, serde_json::Error> {
    let mut raw = raw;
    for depth in 0..DEPTH_MAX {
        if depth > 0 && raw.get().starts_with('"') {
            return Ok(Some(Answer::Text(serde_json::from_str(raw.get())?)));
        }
        if depth > 0 && raw.get().starts_with('[') {
            return Ok(Some(Answer::Messages(lenient::list_of(raw))));
        }
        let Some(envelope) = lenient::object_of::<Envelope<'_>>(raw)? else {
            return Ok(None);
        };
        if let Some(choice) = envelope.choices.first() {
            let choice = lenient::object_of::<Choice<'_>>(choice)?;
            let message = choice.and_then(|choice| choice.message);
            return Ok(message.map(|message| Answer::Messages(vec![message])));
        }
        if depth > 0 && envelope.role.is_some() {
            return Ok(Some(Answer::Messages(vec![raw])));
        }
        let chosen = envelope.chosen.filter(|_| envelope.rejected.is_some());
        let inner = envelope.response.or(chosen);
        // The body of a record is what was asked, that of a response what came back.
        match inner.or(envelope.body.filter(|_| depth > 0)) {
            Some(inner) => raw = inner,
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// The answer of a record that has no request: only what can be nothing else.
pub(super) fn answer_alone(raw: &RawValue) -> Result<Option<Answer<'_>>, serde_json::Error> {
    let has_choices = |raw: &RawValue| -> Result<bool, serde_json::Error> {
        Ok(lenient::object_of::<Envelope<'_>>(raw)?.is_some_and(|inner| !inner.choices.is_empty()))
    };
    let response = match lenient::object_of::<Envelope<'_>>(raw)? {
        Some(envelope) => envelope.response,
        None => None,
    };
    let body = match response
        .map(lenient::object_of::<Envelope<'_>>)
        .transpose()?
    {
        Some(Some(envelope)) => envelope.body,
        _ => None,
    };
    for place in [Some(raw), response, body].into_iter().flatten() {
        if has_choices(place)? {
            return answer(raw);
        }
    }
    Ok(None)
}

/// What came back in a form that is not known.
pub(super) fn response(raw: &RawValue) -> Result<Option<&RawValue>, serde_json::Error> {
    let envelope = lenient::object_of::<Envelope<'_>>(raw)?;
    let response = envelope.and_then(|envelope| envelope.response);
    Ok(response.filter(|response| !matches!(response.get(), "null" | "\"\"" | "{}" | "[]")))
}

/// The messages of a record of a log, as far as a look at its beginning tells them.
pub(super) fn messages(record: &HeadRecord) -> Vec<HeadRecord> {
    let sent = ["request", "body"]
        .iter()
        .find_map(|key| record.member(key));
    let sent = sent.map(|sent| sent.member("body").unwrap_or(sent));
    let sent = sent.and_then(|sent| sent.member("messages"));
    let came = record.member("response");
    let came = came.map(|came| came.member("body").unwrap_or(came));
    let choices = came.as_ref().unwrap_or(record).member("choices");
    let choices = choices.map(|choices| choices.elements());
    let answers = choices.into_iter().flatten();
    let answers = answers.filter_map(|choice| choice.member("message"));
    let sent = sent.map(|sent| sent.elements()).unwrap_or_default();
    sent.into_iter().chain(answers).collect()
}
