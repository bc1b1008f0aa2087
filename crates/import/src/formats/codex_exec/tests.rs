//! Event streams from fixtures.

use crate::formats::outline::{assert_accounted, fixtures, open, outline, read};

#[test]
fn a_run_becomes_a_chat() {
    let path = fixtures("codex-exec").join("run.jsonl");
    assert_eq!(open(&path).detection().format.name, "codex-exec");
    let imported = read(&path);
    assert_accounted(&imported);
    assert_eq!(
        (
            imported.stats.records,
            imported.stats.kept_raw,
            imported.stats.damaged
        ),
        (25, 2, 1),
        "{:?}",
        imported.warnings
    );
    assert_eq!(imported.chat.origin.native_id.as_deref(), Some("th-1"));
    assert_eq!(outline(&imported.chat), r##"
# Untitled chat
assistant
  reasoning "**Searching**"
assistant
  call item_1 command_execution Run { command: "bash -lc ls", language: None, purpose: None } Done
tool
  result item_1
    text "a.txt\n"
assistant
  call item_2 command_execution Run { command: "false", language: None, purpose: None } Failed
tool
  result item_2 error
    text "no"
assistant
  call item_3 command_execution Run { command: "rm -r /", language: None, purpose: None } Denied
tool
  result item_3 error
assistant
  call item_4 file_change Other Done {"changes":[{"path":"/home/dev/app/a.rs","kind":"update"}]}
tool
  result item_4
assistant
  call item_5 docs.find Other Done {"q":"x"}
tool
  result item_5
    text "found"
assistant
  call item_6 docs.find Other Failed
tool
  result item_6 error
    text "no server"
assistant
  call item_7 web_search WebSearch { query: "weather" } Done
tool
  result item_7
assistant
  call item_8 todo_list Plan { items: [PlanItem { text: "look", status: Done }, PlanItem { text: "act", status: Pending }] } Done
tool
  result item_8
assistant
  call item_9 spawn_agent Delegate { title: "Test it", prompt: "Test it" } Done
tool
  result item_9
system meta
  notice Error "a warning"
assistant
  text "All done."
system meta
  unknown new_thing {"type":"item.completed","item":{"id":"item_12","type":"new_thing","x":1}}
system meta
  unknown new.event {"type":"new.event"}
system meta
  notice Error "lost the stream"
assistant
  text "Second run."
"##.trim());
}
