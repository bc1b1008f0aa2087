//! docs/api.md and the OpenAPI document against each other.

use std::collections::BTreeSet;

use crate::world::World;

fn routes_of_document() -> BTreeSet<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api.md");
    let document = std::fs::read_to_string(path).unwrap();
    let headings = document
        .lines()
        .filter_map(|line| line.strip_prefix("### `"));
    headings
        .map(|line| line.split('`').next().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn every_route_is_documented_and_every_documented_route_is_there() {
    let world = World::new().await;
    let document = world.get("/openapi.json", "").await.expect(200).json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    let mut routes = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if operation.is_object() {
                routes.insert(format!("{} {path}", method.to_uppercase()));
                assert!(
                    operation["responses"]["default"].is_object(),
                    "{method} {path}"
                );
                assert!(
                    operation["summary"].is_string(),
                    "{method} {path} is not described"
                );
            }
        }
    }
    let documented = routes_of_document();
    let undocumented: Vec<_> = routes.difference(&documented).collect();
    let invented: Vec<_> = documented.difference(&routes).collect();
    assert!(
        undocumented.is_empty(),
        "not in docs/api.md: {undocumented:?}"
    );
    assert!(
        invented.is_empty(),
        "not in the OpenAPI document: {invented:?}"
    );
}

#[tokio::test]
async fn references_of_the_openapi_document_lead_somewhere() {
    fn references(value: &serde_json::Value, found: &mut BTreeSet<String>) {
        match value {
            serde_json::Value::Object(map) => {
                if let Some(reference) = map.get("$ref").and_then(|r| r.as_str()) {
                    found.insert(reference.to_owned());
                }
                map.values().for_each(|value| references(value, found));
            }
            serde_json::Value::Array(list) => {
                list.iter().for_each(|value| references(value, found))
            }
            _ => {}
        }
    }
    let world = World::new().await;
    let document = world.get("/openapi.json", "").await.expect(200).json();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 10);
    for reference in found {
        let pointer = reference.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}
