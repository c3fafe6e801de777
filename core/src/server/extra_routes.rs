//! HTTP routes of another front end. Front ends do not know each other, so the
//! code that starts them passes these in.

/// Pages beside the HTTP server's own.
pub trait ExtraRoutes: std::fmt::Debug + Send + Sync {
    /// The page at `path`, asked for with GET; none if there is none.
    fn admin_page(&self, path: &str) -> Option<Page>;
}

/// One page. Its status is always 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// As the header of this name says.
    pub content_type: &'static str,
    /// The whole body.
    pub body: String,
}
