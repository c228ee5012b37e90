//! What is met again after a restart.

use std::{collections::BTreeMap, fs};

use super::*;

const LINES: &str = "a first line that is long enough to tell one file from any other\nand a second\n";

fn saved(path: &Path, generation: u32, head: Head, offset: u64) -> Saved {
    Saved {
        identity: Identity::of(&fs::metadata(path).unwrap()),
        generation,
        id: Some(u64::from(generation) + 1),
        head,
        size: offset,
        shown: path.to_owned(),
        home: path.to_owned(),
        offsets: BTreeMap::from([("out".to_owned(), offset)]),
    }
}

#[test]
fn of_several_files_with_one_inode_the_one_with_this_content_is_met() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.log");
    fs::write(&path, LINES).unwrap();
    let head = Head::over(LINES.as_bytes());
    // The one before was cut while it was still empty, and its copy was not found when the process was killed.
    let files = vec![saved(&path, 3, Head::default(), 0), saved(&path, 4, head, 65)];
    let inputs = [Input { paths: vec![path], ..Input::default() }].into();
    let events = Arc::new(Events::new(&common::prometheus::Registry::new(), None).unwrap());
    let positions = Arc::new(Mutex::new(Positions::in_memory(vec!["out".into()])));
    let memory = Memory { files, done: HashSet::new() };
    let mut catalog = Catalog::new(inputs, vec![("out".into(), Select::All)], events, positions, memory);
    catalog.look(&HashSet::new());
    let [file] = catalog.files() else { panic!("{:?}", catalog.files()) };
    assert_eq!((file.starts.as_slice(), file.generation, file.known_id()), (&[65][..], 4, Some(5)));
}
