//! inotifyd's place.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt};

use test_kit::{ConfigMap, Kubelet, PATIENCE, Sidecar, TempDir, eventually};

use crate::{called, never, watching};

#[track_caller]
fn printing(files: &[&str]) -> Sidecar {
    watching(called("inotifyd").arg("-").args(files))
}

/// Waits until these lines were printed, in any order.
#[track_caller]
fn wait_printed(sidecar: &Sidecar, lines: &[String]) {
    let wanted: BTreeSet<_> = lines.iter().cloned().collect();
    let printed = || sidecar.stdout().lines().map(str::to_owned).collect::<BTreeSet<_>>();
    assert!(eventually(PATIENCE, || printed() == wanted), "{wanted:?}, got {:?}\n{}", printed(), sidecar.stderr());
    assert_eq!(sidecar.stdout().lines().count(), lines.len(), "{}", sidecar.stdout());
}

#[test]
fn each_mask_gets_its_own_events_with_tabs_between() {
    let dir = TempDir::new();
    let masks = ["w", "c", "y", "n", "d", "m"];
    let path = |mask: &str| dir.join(mask).to_str().unwrap().to_owned();
    for mask in masks {
        dir.put(&format!("{mask}/changed"), "1");
        dir.put(&format!("{mask}/removed"), "1");
    }
    let files: Vec<_> = masks.iter().map(|mask| format!("{}:{mask}", path(mask))).collect();
    let sidecar = watching(called("inotifyd").arg("-").args(&files));
    for mask in masks {
        dir.put(&format!("{mask}/changed"), "2");
        dir.put(&format!("{mask}/added"), "1");
        fs::remove_file(dir.join(mask).join("removed")).unwrap();
    }
    let line = |mask: &str, name: &str| format!("{mask}\t{}\t{name}", path(mask));
    let changed = ["w", "c", "y"].map(|mask| line(mask, "changed"));
    let added = ["w", "y", "n"].map(|mask| line(mask, "added"));
    let removed = ["d", "m"].map(|mask| line(mask, "removed"));
    wait_printed(&sidecar, &[&changed[..], &added, &removed].concat());
}

#[test]
fn the_program_is_given_event_file_and_name() {
    let dir = TempDir::new();
    let calls = dir.join("calls");
    let program = dir.put("program", format!("#!/bin/sh\necho \"$# $*\" >> {}\n", calls.display()));
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let (inside, alone) = (dir.put("watched/a", "1"), dir.put("alone", "1"));
    let watched = dir.join("watched").to_str().unwrap().to_owned();
    let _sidecar = watching(called("inotifyd").args([&program, &watched, &format!("{alone}:w")]));
    let wait_calls = |wanted: &str| {
        let read = || fs::read_to_string(&calls).unwrap_or_default();
        assert!(eventually(PATIENCE, || read() == wanted), "expected {wanted:?}, got {:?}", read());
    };
    fs::write(&inside, "2").unwrap();
    let first = format!("3 w {watched} a\n");
    wait_calls(&first);
    fs::write(&alone, "2").unwrap();
    wait_calls(&format!("{first}2 w {alone}\n"));
}

#[test]
fn a_config_map_swap_is_one_call_for_each_changed_file() {
    for kubelet in [Kubelet::Old, Kubelet::New] {
        let dir = TempDir::new();
        let path = dir.join("volume").to_str().unwrap().to_owned();
        let mut volume = ConfigMap::new(&path, kubelet);
        volume.update(&[("a", "1"), ("b", "1"), ("same", "1")]);
        // As people write it for ConfigMaps.
        let sidecar = printing(&[&format!("{path}:y")]);
        volume.update(&[("a", "2"), ("b", "2"), ("same", "1")]);
        let lines = ["a", "b"].map(|name| format!("y\t{path}\t{name}"));
        wait_printed(&sidecar, &lines);
        volume.update(&[("a", "2"), ("b", "2"), ("same", "1")]);
        assert!(never(|| sidecar.stdout().lines().count() > 2), "{kubelet:?}: equal bytes");
    }
}

#[test]
fn a_new_key_is_visible_when_the_program_runs() {
    for kubelet in [Kubelet::Old, Kubelet::New] {
        let dir = TempDir::new();
        let (path, seen) = (dir.join("volume").to_str().unwrap().to_owned(), dir.join("seen"));
        let program = dir.put("program", format!("#!/bin/sh\ncat \"$2/$3\" > {}\n", seen.display()));
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut volume = ConfigMap::new(&path, kubelet);
        volume.update(&[("a", "1")]);
        let sidecar = watching(called("inotifyd").args([&program, &format!("{path}:n")]));
        volume.update(&[("a", "1"), ("b", "new")]);
        let read = || fs::read_to_string(&seen).unwrap_or_default();
        assert!(eventually(PATIENCE, || read() == "new"), "{kubelet:?}: {:?}\n{}", read(), sidecar.stderr());
        assert!(!sidecar.stderr().contains("not told"), "{kubelet:?}: {}", sidecar.stderr());
    }
}

#[test]
fn a_file_that_is_missing_is_waited_for_and_may_come_back() {
    let dir = TempDir::new();
    let file = dir.join("later").to_str().unwrap().to_owned();
    let sidecar = printing(&[&file]);
    let line = |event: &str| format!("{event}\t{file}");
    for printed in [vec!["n"], vec!["n", "d"], vec!["n", "d", "n"]] {
        match *printed.last().unwrap() {
            "d" => fs::remove_file(&file).unwrap(),
            _ => fs::write(&file, "1").unwrap(),
        }
        let wanted: Vec<_> = printed.iter().map(|event| line(event)).collect();
        let read = || sidecar.stdout().lines().map(str::to_owned).collect::<Vec<_>>();
        assert!(eventually(PATIENCE, || read() == wanted), "{wanted:?}, got {:?}\n{}", read(), sidecar.stderr());
    }
}

#[test]
fn nothing_is_run_at_the_start() {
    let dir = TempDir::new();
    dir.put("a", "1");
    let sidecar = printing(&[dir.to_str().unwrap()]);
    assert!(never(|| !sidecar.stdout().is_empty()));
}

#[test]
fn masks_that_cannot_be_seen_are_refused() {
    for mask in ["r", "a0", "x", "z", ""] {
        let output = called("inotifyd").args(["-", &format!("/tmp:{mask}")]).run();
        assert_eq!(output.code, 64, "{mask:?}: {}", output.stderr);
        assert!(output.stderr.contains("event"), "{mask:?}: {}", output.stderr);
    }
}

#[test]
fn each_bad_file_is_named_and_nothing_else() {
    let output = called("inotifyd").args(["-", "/tmp:z", "", "/tmp:r", ":w", "/tmp"]).run();
    let place = "inotifyd: <FILE[:MASK]>...";
    let lines = [
        format!("{place} \"/tmp:z\": unknown event z, expected some of wcnydma0reDMuox"),
        format!("{place} \"\": expected the path of a file or directory"),
        format!("{place} \"/tmp:r\": events r: only changes of content are watched: w c n y d m"),
        format!("{place} \":w\": expected the path of a file or directory"),
    ];
    assert_eq!((output.code, output.stderr.lines().collect::<Vec<_>>()), (64, lines.iter().map(|l| &**l).collect()));
    // Not even that a FILE is required: the one that was typed is wrong.
    let output = called("inotifyd").args(["-", "/tmp:z"]).run();
    assert_eq!((output.code, output.stderr.lines().collect::<Vec<_>>()), (64, vec![&*lines[0]]));
}

#[test]
fn missing_arguments_are_named() {
    for (args, words) in [(&[][..], &["PROG", "FILE"][..]), (&["-"], &["FILE"])] {
        let output = called("inotifyd").args(args).run();
        assert_eq!(output.code, 64, "{args:?}: {}", output.stderr);
        assert!(words.iter().all(|word| output.stderr.contains(word)), "{args:?}: {}", output.stderr);
    }
}
