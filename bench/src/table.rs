//! Markdown tables that are also readable in a terminal.

#[derive(Default)]
pub(crate) struct Table(Vec<Vec<String>>);

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        Self(vec![head.iter().map(|cell| (*cell).to_owned()).collect()])
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.0.push(cells);
    }

    pub(crate) fn print(&self, title: &str) {
        println!("\n### {title}\n\n{}", self.text());
    }

    fn text(&self) -> String {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.0.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!(" {cell:<width$} |"));
            format!("|{}\n", cells.collect::<String>())
        };
        let rule = widths.iter().map(|width| format!("{}|", "-".repeat(width + 2))).collect::<String>();
        let (head, rows) = self.0.split_at(1.min(self.0.len()));
        let body: String = rows.iter().map(line).collect();
        format!("{}|{rule}\n{body}", head.iter().map(line).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["what", "ms"]);
        table.row(vec!["ready".into(), "1.6".into()]);
        assert_eq!(table.text(), "| what  | ms  |\n|-------|-----|\n| ready | 1.6 |\n");
    }
}
