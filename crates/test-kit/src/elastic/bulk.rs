//! A bulk request: refused as a whole, or each document kept or refused by itself.

use std::io::{Read, copy};

use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};

use super::{Call, Fault, Rules, Shared, Store, Stored, Version, document};

const SHORT: &str = "errors,items.*.status,items.*.error";

/// A status and a body.
pub(super) type Answer = (u16, String);

/// What is done with the document in the line after it.
struct Action {
    op: String,
    index: String,
    id: Option<String>,
    has_type: bool,
}

pub(super) fn take(shared: &Shared, call: &mut Call, body: &[u8], fault: &Fault) -> Answer {
    match taken(shared, call, body, fault) {
        Ok(answer) => (200, answer.to_string()),
        Err(refusal) => refusal,
    }
}

fn taken(shared: &Shared, call: &mut Call, body: &[u8], fault: &Fault) -> Result<Value, Answer> {
    let rules = &shared.rules;
    let (is_short, pipeline) = asked(rules, call)?;
    let plain = plain(rules, call, body)?;
    let documents = read(rules, &plain)?;
    call.documents = documents.len();
    let mut store = shared.store.lock().unwrap();
    let told = match fault {
        Fault::Fewer(count) => *count,
        _ => documents.len(),
    };
    let mut errors = false;
    let mut items = Vec::new();
    for (number, (action, line)) in documents.into_iter().enumerate().take(told) {
        let problem = match fault {
            Fault::Items(every, status, kind) if (number + 1).is_multiple_of(*every) => {
                Some((*status, *kind, "as it was told".to_owned()))
            }
            _ => store.keep(rules, &action, line, pipeline.as_deref()).err(),
        };
        let mut outcome = json!({"_index": action.index, "_id": action.id, "status": 201});
        if let Some((status, kind, reason)) = problem {
            errors = true;
            outcome["status"] = status.into();
            outcome["error"] = json!({"type": kind, "reason": reason, "index": action.index});
        }
        if is_short && let Some(members) = outcome.as_object_mut() {
            members.retain(|name, _| ["status", "error"].contains(&name.as_str()));
        }
        items.push(json!({action.op: outcome}));
    }
    Ok(match is_short {
        true => json!({"errors": errors, "items": items}),
        false => json!({"took": 1, "errors": errors, "items": items}),
    })
}

/// Whether the answer is to be short, and through which pipeline documents go.
fn asked(rules: &Rules, call: &Call) -> Result<(bool, Option<String>), Answer> {
    let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
    if rules.authorization.is_some() && call.header("authorization") != rules.authorization.as_deref() {
        return Err(refused(401, "security_exception", "missing authentication credentials for REST request [/_bulk]"));
    }
    if path != format!("{}/_bulk", rules.path) {
        let text = format!("no handler found for uri [{path}] and method [{}]", call.method);
        return Err((400, json!({"error": text}).to_string()));
    }
    if !["POST", "PUT"].contains(&call.method.as_str()) {
        let text = format!("Incorrect HTTP method for uri [{path}] and method [{}], allowed: [POST, PUT]", call.method);
        return Err((405, json!({"error": text, "status": 405}).to_string()));
    }
    if call.bytes > rules.largest {
        return Err((413, String::new()));
    }
    let kind = call.header("content-type").unwrap_or_default();
    if !["application/x-ndjson", "application/json"].contains(&kind) {
        let text = format!("Content-Type header [{kind}] is not supported");
        return Err((406, json!({"error": text, "status": 406}).to_string()));
    }
    let (mut is_short, mut pipeline) = (false, None);
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match name {
            "filter_path" if value == SHORT => is_short = true,
            "pipeline" => pipeline = Some(value.to_owned()),
            _ => {
                let text = format!("request [{path}] contains unrecognized parameter: [{name}]");
                return Err(illegal(&text));
            }
        }
    }
    Ok((is_short, pipeline))
}

/// As it was before it was compressed.
fn plain(rules: &Rules, call: &Call, body: &[u8]) -> Result<Vec<u8>, Answer> {
    let mut reader: Box<dyn Read> = match call.header("content-encoding") {
        Some("gzip") => Box::new(GzDecoder::new(body)),
        Some("zstd") if rules.version == Version::OpenSearch => Box::new(zstd::Decoder::new(body).unwrap()),
        // What it does not know it takes for plain.
        _ => Box::new(body),
    };
    let mut plain = Vec::new();
    match copy(&mut reader, &mut plain) {
        Ok(_) => Ok(plain),
        // The real one closes then, without a word.
        Err(_) => Err((0, String::new())),
    }
}

fn read<'a>(rules: &Rules, plain: &'a [u8]) -> Result<Vec<(Action, &'a [u8])>, Answer> {
    if plain.is_empty() {
        return Err(refused(400, "parse_exception", "request body is required"));
    }
    let Some(lines) = plain.strip_suffix(b"\n") else {
        return Err(illegal("The bulk request must be terminated by a newline [\\n]"));
    };
    let mut lines = lines.split(|byte| *byte == b'\n');
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    let mut number = 1;
    while let Some(line) = lines.next() {
        let action = action(line, number)?;
        let Some(document) = lines.next() else { break };
        match rules.version {
            Version::Six if !action.has_type => problems.push("type is missing".to_owned()),
            Version::Eight | Version::OpenSearch if action.has_type => {
                return Err(illegal(&format!("Action/metadata line [{number}] contains an unknown parameter [_type]")));
            }
            _ => {}
        }
        if action.index.is_empty() {
            problems.push("index is missing".into());
        }
        if let Some(id) = action.id.as_ref().filter(|id| id.len() > 512) {
            problems.push(format!("id [{id}] is too long, must be no longer than 512 bytes but was: {}", id.len()));
        }
        documents.push((action, document));
        number += 2;
    }
    if documents.is_empty() {
        problems.push("no requests added".into());
    }
    if problems.is_empty() {
        return Ok(documents);
    }
    let told: String = (1..).zip(problems).map(|(number, problem)| format!("{number}: {problem};")).collect();
    Err(refused(400, "action_request_validation_exception", &format!("Validation Failed: {told}")))
}

fn action(line: &[u8], number: usize) -> Result<Action, Answer> {
    let malformed = |what: &str| illegal(&format!("Malformed action/metadata line [{number}], expected {what}"));
    let value: Value =
        serde_json::from_slice(line).map_err(|error| refused(400, "json_parse_exception", &error.to_string()))?;
    let Value::Object(members) = value else { return Err(malformed("START_OBJECT but found [START_ARRAY]")) };
    let Some((op, Value::Object(about))) = members.into_iter().next() else { return Err(malformed("START_OBJECT")) };
    if !["create", "index"].contains(&op.as_str()) {
        return Err(malformed(&format!("one of [create, delete, index, update] but found [{op}]")));
    }
    let text = |name: &str| about.get(name).and_then(Value::as_str).map(str::to_owned);
    if let Some(other) = about.keys().find(|name| !["_index", "_id", "_type"].contains(&name.as_str())) {
        return Err(illegal(&format!("Action/metadata line [{number}] contains an unknown parameter [{other}]")));
    }
    let index = text("_index").unwrap_or_default();
    Ok(Action { op, index, id: text("_id"), has_type: about.contains_key("_type") })
}

impl Store {
    fn keep(
        &mut self,
        rules: &Rules,
        action: &Action,
        line: &[u8],
        pipeline: Option<&str>,
    ) -> Result<(), (u16, &'static str, String)> {
        let Action { op, index, id, .. } = action;
        let illegal = |reason: &str| (400, "illegal_argument_exception", reason.to_owned());
        if let Some(name) = pipeline.filter(|name| !rules.pipelines.iter().any(|known| known == name)) {
            return Err(illegal(&format!("pipeline with id [{name}] does not exist")));
        }
        if let Some(problem) = misnamed(index) {
            return Err((400, "invalid_index_name_exception", format!("Invalid index name [{index}], {problem}")));
        }
        let is_stream = rules.data_streams.iter().any(|begin| index.starts_with(begin));
        if is_stream && op != "create" {
            return Err(illegal("only write ops with an op_type of create are allowed in data streams"));
        }
        let source = document::read(line).map_err(|(kind, reason)| (400, kind, reason))?;
        if is_stream && !source.contains_key("@timestamp") {
            let reason = "failed to parse: data stream timestamp field [@timestamp] is missing";
            return Err((400, "mapper_parsing_exception", reason.into()));
        }
        let id = id.clone().unwrap_or_else(|| format!("made-{}", self.documents.len()));
        let place = (index.clone(), id.clone());
        let known = self.known.get(&place).copied();
        if known.is_some() && op == "create" {
            let reason = format!("[{id}]: version conflict, document already exists (current version [1])");
            return Err((409, "version_conflict_engine_exception", reason));
        }
        document::fits(index, &source, &mut self.mappings).map_err(|(kind, reason)| (400, kind, reason))?;
        self.put(known, place, source);
        Ok(())
    }

    fn put(&mut self, known: Option<usize>, place: (String, String), source: Map<String, Value>) {
        let (index, id) = place.clone();
        let stored = Stored { index, id, source: source.into() };
        match known {
            Some(at) => self.documents[at] = stored,
            None => {
                self.known.insert(place, self.documents.len());
                self.documents.push(stored);
            }
        }
    }
}

fn misnamed(index: &str) -> Option<&'static str> {
    match index {
        "." | ".." => Some("must not be '.' or '..'"),
        _ if index.to_lowercase() != index => Some("must be lowercase"),
        _ if index.contains(['\\', '/', '*', '?', '"', '<', '>', '|', ' ', ',']) => {
            Some("must not contain the following characters [ , \", *, \\, <, |, ,, >, /, ?]")
        }
        _ if index.contains(['#', ':']) => Some("must not contain '#' or ':'"),
        _ if index.starts_with(['_', '-', '+']) => Some("must not start with '_', '-', or '+'"),
        _ if index.len() > 255 => Some("index name is too long"),
        _ => None,
    }
}

fn illegal(reason: &str) -> Answer {
    refused(400, "illegal_argument_exception", reason)
}

fn refused(status: u16, kind: &str, reason: &str) -> Answer {
    let cause = json!({"type": kind, "reason": reason});
    let error = json!({"root_cause": [cause], "type": kind, "reason": reason});
    (status, json!({"error": error, "status": status}).to_string())
}
