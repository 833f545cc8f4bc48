//! How far a tile's images reach beyond its windows: as far as its method looks, but not over the scene's border.

use crate::correlate::dense::candidates::BLOCK;
use crate::grid::Window;

/// `windows` with `halo` pixels more on every side where the image, which has `size` pixels, has any; and how many these are on the
/// left and above. Those are whole blocks less than the halo, so blocks of pixels lie as they would with all of it.
pub(super) fn pixels(windows: Window, halo: usize, size: (usize, usize)) -> (Window, (usize, usize)) {
    let axis = |from: i64, to: i64, size: usize| {
        let there = |beyond: i64| beyond.clamp(0, halo as i64) as usize;
        let before = halo - (halo - there(from)) / BLOCK * BLOCK;
        (before, there(size as i64 - to))
    };
    let (left, right) = axis(windows.x, windows.right(), size.0);
    let (above, below) = axis(windows.y, windows.bottom(), size.1);
    let (x, y) = (windows.x - left as i64, windows.y - above as i64);
    (Window::new(x, y, windows.width + left + right, windows.height + above + below), (left, above))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_halo_ends_with_the_scene_and_keeps_its_blocks() {
        let inside = Window::new(200, 300, 100, 90);
        assert_eq!(pixels(inside, 64, (1000, 1000)), (inside.grown(64), (64, 64)));
        // Windows that reach over the border themselves are kept; of 20 columns on the left 32 are taken.
        let (found, halo) = pixels(Window::new(20, -16, 500, 400), 64, (512, 500));
        assert_eq!((found, halo), (Window::new(-12, -16, 532, 464), (32, 0)));
        // A halo that is no whole number of blocks.
        assert_eq!(pixels(Window::new(-3, 45, 50, 50), 50, (40, 95)), (Window::new(-5, -5, 52, 100), (2, 50)));
    }
}
