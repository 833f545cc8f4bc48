//! Row-major arrays, pixel windows and images with per-pixel validity.

/// A rectangle of pixels; may reach outside an image (then `x`, `y` are negative or it ends beyond).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Column of the left pixel.
    pub x: i64,
    /// Row of the top pixel.
    pub y: i64,
    pub width: usize,
    pub height: usize,
}

impl Window {
    pub fn new(x: i64, y: i64, width: usize, height: usize) -> Self {
        Window { x, y, width, height }
    }

    /// One past the last column.
    pub fn right(&self) -> i64 {
        self.x + self.width as i64
    }

    /// One past the last row.
    pub fn bottom(&self) -> i64 {
        self.y + self.height as i64
    }

    /// The common part, `None` when there is none.
    pub fn intersect(&self, other: &Window) -> Option<Window> {
        let (x0, y0) = (self.x.max(other.x), self.y.max(other.y));
        let (x1, y1) = (self.right().min(other.right()), self.bottom().min(other.bottom()));
        (x1 > x0 && y1 > y0).then(|| Window::new(x0, y0, (x1 - x0) as usize, (y1 - y0) as usize))
    }

    /// The window moved by whole pixels.
    pub fn shifted(&self, dx: i64, dy: i64) -> Window {
        Window { x: self.x + dx, y: self.y + dy, ..*self }
    }

    /// The window grown by `margin` pixels on every side.
    pub fn grown(&self, margin: usize) -> Window {
        let m = margin as i64;
        Window::new(self.x - m, self.y - m, self.width + 2 * margin, self.height + 2 * margin)
    }
}

/// A row-major array: element (x, y) is `data[y * width + x]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid<T> {
    pub width: usize,
    pub height: usize,
    pub data: Vec<T>,
}

impl<T: Copy> Grid<T> {
    pub fn filled(width: usize, height: usize, value: T) -> Self {
        Grid { width, height, data: vec![value; width * height] }
    }

    /// Wraps existing row-major data. Panics when the length is not `width * height`.
    pub fn from_vec(width: usize, height: usize, data: Vec<T>) -> Self {
        assert_eq!(data.len(), width * height, "grid data length");
        Grid { width, height, data }
    }

    pub fn from_fn(width: usize, height: usize, mut f: impl FnMut(usize, usize) -> T) -> Self {
        let mut data = Vec::with_capacity(width * height);
        for y in 0..height {
            data.extend((0..width).map(|x| f(x, y)));
        }
        Grid { width, height, data }
    }

    #[inline]
    pub fn get(&self, x: usize, y: usize) -> T {
        self.data[y * self.width + x]
    }

    #[inline]
    pub fn set(&mut self, x: usize, y: usize, value: T) {
        self.data[y * self.width + x] = value;
    }

    #[inline]
    pub fn row(&self, y: usize) -> &[T] {
        &self.data[y * self.width..(y + 1) * self.width]
    }

    #[inline]
    pub fn row_mut(&mut self, y: usize) -> &mut [T] {
        &mut self.data[y * self.width..(y + 1) * self.width]
    }

    /// A copy of the part `w`, which must lie inside.
    pub fn crop(&self, w: Window) -> Grid<T> {
        assert!(
            w.x >= 0 && w.y >= 0 && w.right() <= self.width as i64 && w.bottom() <= self.height as i64,
            "crop outside the grid"
        );
        let mut data = Vec::with_capacity(w.width * w.height);
        for y in w.y as usize..w.bottom() as usize {
            data.extend_from_slice(&self.row(y)[w.x as usize..w.right() as usize]);
        }
        Grid { width: w.width, height: w.height, data }
    }

    pub fn map<U: Copy>(&self, f: impl Fn(T) -> U) -> Grid<U> {
        Grid { width: self.width, height: self.height, data: self.data.iter().map(|&v| f(v)).collect() }
    }
}

impl Grid<bool> {
    pub fn all_true(&self) -> bool {
        // In blocks, of which a compiler makes vectors.
        self.data.chunks(256).all(|block| block.iter().fold(true, |all, &v| all & v))
    }
}

/// Largest magnitude of a pixel: sums of the squares of larger ones are no numbers in single precision. What lies beyond,
/// like -3.4e38, means that there is nothing.
pub const LARGEST: f32 = 1e15;

/// A pixel's value can be worked with: neither NaN nor beyond [`LARGEST`].
#[inline]
pub fn usable(v: f32) -> bool {
    v.abs() <= LARGEST
}

/// Pixel values with validity; an invalid pixel's value is 0 and must not be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    pub values: Grid<f32>,
    pub valid: Grid<bool>,
}

impl Image {
    /// An image whose pixels are all valid except those that are not [`usable`].
    pub fn from_values(values: Grid<f32>) -> Self {
        let valid = values.map(usable);
        let values = values.map(|v| if usable(v) { v } else { 0.0 });
        Image { values, valid }
    }

    /// Every pixel invalid.
    pub fn invalid(width: usize, height: usize) -> Self {
        Image { values: Grid::filled(width, height, 0.0), valid: Grid::filled(width, height, false) }
    }

    pub fn width(&self) -> usize {
        self.values.width
    }

    pub fn height(&self) -> usize {
        self.values.height
    }

    pub fn all_valid(&self) -> bool {
        self.valid.all_true()
    }
}

/// An image that can be read in windows from several threads: a raster band, or an array.
pub trait ImageFile: Sync {
    /// Width and height in pixels.
    fn size(&self) -> (usize, usize);
    /// A reader with a handle of its own, used by one thread.
    fn open(&self) -> crate::Result<Box<dyn ImageReader + '_>>;
    /// The name for messages and metadata.
    fn name(&self) -> String;
    /// Whether the pixels are known to hold nothing from beyond Nyquist, as amplitudes of complex images that were detected here.
    fn well_sampled(&self) -> bool {
        false
    }
}

/// One thread's handle on an image.
pub trait ImageReader {
    /// The pixels of `window`; what lies outside the image comes back invalid.
    fn read(&mut self, window: Window) -> crate::Result<Image>;
}

/// Something known at points of the pre image: a prior displacement, stable ground.
pub trait PointFile: Sync {
    /// A reader with handles of its own, used by one thread.
    fn open(&self) -> crate::Result<Box<dyn PointReader + '_>>;
    /// The name for messages and metadata.
    fn name(&self) -> String;
}

/// One thread's handle on it.
pub trait PointReader {
    /// Two numbers at each point (pre pixels, centres at whole numbers), `None` where there are none.
    fn sample(&mut self, points: &[(f64, f64)]) -> crate::Result<Vec<Option<(f64, f64)>>>;
}

/// An image held in memory.
#[derive(Debug, Clone)]
pub struct MemoryImage(pub Image);

impl ImageFile for MemoryImage {
    fn size(&self) -> (usize, usize) {
        (self.0.width(), self.0.height())
    }

    fn open(&self) -> crate::Result<Box<dyn ImageReader + '_>> {
        Ok(Box::new(MemoryReader(&self.0)))
    }

    fn name(&self) -> String {
        "array".into()
    }
}

struct MemoryReader<'a>(&'a Image);

impl ImageReader for MemoryReader<'_> {
    fn read(&mut self, window: Window) -> crate::Result<Image> {
        let whole = Window::new(0, 0, self.0.width(), self.0.height());
        let mut out = Image::invalid(window.width, window.height);
        if let Some(part) = window.intersect(&whole) {
            for y in part.y..part.bottom() {
                let from = y as usize * whole.width + part.x as usize;
                let to = (y - window.y) as usize * window.width + (part.x - window.x) as usize;
                out.values.data[to..to + part.width].copy_from_slice(&self.0.values.data[from..from + part.width]);
                out.valid.data[to..to + part.width].copy_from_slice(&self.0.valid.data[from..from + part.width]);
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_reaching_outside_reads_invalid_pixels_there() {
        let image = MemoryImage(Image::from_values(Grid::from_fn(4, 3, |x, y| (10 * y + x) as f32)));
        let got = image.open().unwrap().read(Window::new(-1, 1, 3, 3)).unwrap();
        assert_eq!(got.values.data, vec![0., 10., 11., 0., 20., 21., 0., 0., 0.]);
        assert_eq!(got.valid.data, vec![false, true, true, false, true, true, false, false, false]);
    }

    #[test]
    fn intersection_of_disjoint_windows_is_none() {
        assert_eq!(Window::new(0, 0, 2, 2).intersect(&Window::new(2, 0, 2, 2)), None);
        assert_eq!(Window::new(-3, 0, 5, 2).intersect(&Window::new(0, 1, 9, 9)), Some(Window::new(0, 1, 2, 1)));
    }
}
