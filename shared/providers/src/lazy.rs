//! Clients that are built at their first use.

use std::future::Future;
use std::pin::Pin;

use tokio::sync::OnceCell;

type Make<T> = Box<dyn Fn() -> Pin<Box<dyn Future<Output = T> + Send>> + Send + Sync>;

/// A value that is built once, when it is first asked for. Concurrent first askers wait for the same build.
pub struct Lazy<T> {
    cell: OnceCell<T>,
    make: Make<T>,
}

impl<T: Send + Sync + 'static> Lazy<T> {
    /// Built by a plain function.
    pub fn new(make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self::later(move || std::future::ready(make()))
    }

    /// Built by an asynchronous function, such as one that loads AWS configuration.
    pub fn later<F>(make: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        Self { cell: OnceCell::new(), make: Box::new(move || Box::pin(make())) }
    }

    /// The value; built now if it is not there yet.
    pub async fn get(&self) -> &T {
        self.cell.get_or_init(|| (self.make)()).await
    }
}

impl<T> std::fmt::Debug for Lazy<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.cell.initialized() { "Lazy(ready)" } else { "Lazy(unbuilt)" })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn builds_once_and_not_before_it_is_needed() {
        let built = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&built);
        let lazy = Lazy::later(move || {
            let counter = Arc::clone(&counter);
            async move {
                tokio::task::yield_now().await;
                counter.fetch_add(1, Ordering::SeqCst) + 41
            }
        });
        assert_eq!(built.load(Ordering::SeqCst), 0);
        assert_eq!(tokio::join!(lazy.get(), lazy.get()), (&41, &41));
        assert_eq!(built.load(Ordering::SeqCst), 1);
    }
}
