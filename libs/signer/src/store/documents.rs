//! The last good documents, so that a local command needs no API server.

use rusqlite::OptionalExtension;

use super::{error::StoreError, writer::Store};

/// Which document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// `trust.json` as last seen complete.
    Trust,
    /// `manifest.json` as last verified against the pinned digest.
    Manifest,
}

impl Document {
    fn name(self) -> &'static str {
        match self {
            Document::Trust => "trust",
            Document::Manifest => "manifest",
        }
    }
}

impl Store {
    /// Keeps both documents; they belong together.
    pub async fn keep_documents(&self, trust: String, manifest: String) -> Result<(), StoreError> {
        self.write(move |connection| {
            for (document, content) in [(Document::Trust, trust), (Document::Manifest, manifest)] {
                connection.execute(
                    "INSERT INTO documents (name, content) VALUES (?1, ?2)
                     ON CONFLICT (name) DO UPDATE SET content = excluded.content",
                    (document.name(), content),
                )?;
            }
            Ok(())
        })
        .await
    }

    /// The document as last kept.
    pub async fn document(&self, document: Document) -> Result<Option<String>, StoreError> {
        self.read(move |connection| {
            let query = "SELECT content FROM documents WHERE name = ?1";
            Ok(connection.query_row(query, [document.name()], |row| row.get(0)).optional()?)
        })
        .await
    }
}
