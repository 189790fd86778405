//! Compiled programs on disk, so that the next process need not compile them. Only Vulkan lets a program keep them; other drivers do so by
//! themselves, or not at all.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Mutex,
};

use crate::{
    device::lock,
    kernels::{self, MatrixUnits},
};

/// What a driver has compiled, and the file that it is kept in.
#[derive(Debug)]
pub(crate) struct Cache {
    pub(crate) programs: wgpu::PipelineCache,
    file: PathBuf,
    /// Of the driver and of all kernels.
    key: u64,
    /// What the file holds, as far as this process knows.
    stored: Mutex<Option<Vec<u8>>>,
}

impl Cache {
    /// The programs that `folder` has for this adapter. It is none where the API has no such thing. A file that is broken, or that another
    /// driver or other kernels left, counts for nothing and is written anew.
    pub(crate) fn open(device: &wgpu::Device, info: &wgpu::AdapterInfo, folder: &Path) -> Option<Self> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let file = folder.join(wgpu::util::pipeline_cache_key(info)?);
        let mut hasher = DefaultHasher::new();
        (&info.driver, &info.driver_info).hash(&mut hasher);
        let for_units = [MatrixUnits::Cooperative, MatrixUnits::Plain].map(MatrixUnits::kernels);
        for kernel in kernels::ALL.iter().chain(kernels::PLAIN).chain(for_units.as_flattened()) {
            kernel.source.hash(&mut hasher);
        }
        let key = hasher.finish();
        let stored = fs::read(&file).ok().and_then(|bytes| Some(unsealed(&bytes, key)?.to_vec()));
        let descriptor = wgpu::PipelineCacheDescriptor { label: Some("compiled programs"), data: stored.as_deref(), fallback: true };
        #[expect(
            unsafe_code,
            reason = "a driver believes what it is given here. `save` alone writes the file, with what wgpu gave out for it; the seal finds \
                      what was damaged since, and wgpu itself what another adapter or driver wrote"
        )]
        let programs = unsafe { device.create_pipeline_cache(&descriptor) };
        Some(Self { programs, file, key, stored: Mutex::new(stored) })
    }

    /// Writes what was compiled so far, if there is more than the file has. Whoever reads the file meanwhile sees the old one or the new one.
    pub(crate) fn save(&self) -> io::Result<()> {
        let mut stored = lock(&self.stored);
        let Some(data) = self.programs.get_data() else { return Ok(()) };
        if stored.as_ref() == Some(&data) {
            return Ok(());
        }
        let folder = self.file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&seal(&data, self.key))?;
        file.write_all(&data)?;
        file.persist(&self.file)?;
        *stored = Some(data);
        Ok(())
    }
}

/// Stands in front of `data`. Another release of Rust may hash otherwise: then everything is compiled once more.
fn seal(data: &[u8], key: u64) -> [u8; 8] {
    let mut hasher = DefaultHasher::new();
    (data, key).hash(&mut hasher);
    hasher.finish().to_le_bytes()
}

/// What stands behind the seal, if it is what was sealed.
fn unsealed(bytes: &[u8], key: u64) -> Option<&[u8]> {
    let (front, data) = bytes.split_first_chunk()?;
    (*front == seal(data, key)).then_some(data)
}

#[cfg(test)]
mod tests {
    use super::{seal, unsealed};

    #[test]
    fn only_what_was_sealed_is_read() {
        let data: Vec<u8> = (0..100).collect();
        let bytes = [&seal(&data, 7)[..], &data].concat();
        assert_eq!(unsealed(&bytes, 7), Some(&data[..]));
        assert_eq!(unsealed(&bytes, 8), None, "of another driver");
        for length in 0..bytes.len() {
            assert_eq!(unsealed(&bytes[..length], 7), None, "cut off after {length}");
        }
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 4;
            assert_eq!(unsealed(&broken, 7), None, "byte {at} is another");
        }
    }
}
