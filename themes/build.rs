//! Makes the built-in scripts small: what readers load is the shortest form of what stands in `*/static`. Nothing else of a theme is changed.

use std::{env, error::Error, fs, io::ErrorKind, path::Path};

use oxc::{
    allocator::Allocator,
    codegen::{Codegen, CodegenOptions},
    minifier::{Minifier, MinifierOptions},
    parser::Parser,
    span::SourceType,
};

fn main() -> Result<(), Box<dyn Error>> {
    // Runs again whenever a file of this package changes, or a theme comes or goes: that is what Cargo does where nothing is said.
    let scripts = Path::new(&env::var("OUT_DIR")?).join("scripts");
    match fs::remove_dir_all(&scripts) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => fs::create_dir(&scripts)?,
    }
    for theme in fs::read_dir(".")? {
        let folder = theme?.path().join("static");
        if !folder.is_dir() {
            continue;
        }
        let small = scripts.join(&folder);
        fs::create_dir_all(&small)?;
        for file in fs::read_dir(&folder)? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "js") {
                let text = minify(&fs::read_to_string(&path)?);
                let text = text.map_err(|errors| format!("{}: {errors}", path.display()))?;
                fs::write(small.join(path.file_name().unwrap_or_default()), text)?;
            }
        }
    }
    Ok(())
}

/// A classic script without comments and spaces, with short local names.
fn minify(source: &str) -> Result<String, String> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, source, SourceType::cjs()).parse();
    if let Some(error) = parsed.errors.first() {
        return Err(error.to_string());
    }
    let mut program = parsed.program;
    let done = Minifier::new(MinifierOptions::default()).minify(&allocator, &mut program);
    let codegen = Codegen::new().with_options(CodegenOptions::minify());
    Ok(codegen.with_scoping(done.scoping).build(&program).code)
}
