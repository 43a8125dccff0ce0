# Included by llama.cpp's own project() in the set-up of a checkout, where somebody waits for it.
# Half of the compile is libllama, of which most runs once per model or graph: -O1 there saves a
# quarter of the whole and costs no token anything (benchmarks/results/setup-optimisation.txt). What
# runs per token or per byte of text keeps -O3, and so does all of ggml, which computes.
if(NOT MSVC)
  cmake_language(DEFER CALL target_compile_options llama PRIVATE -O1)
  set(often src/unicode.cpp)
  foreach(name batch graph grammar kv-cache kv-cache-iswa sampler vocab)
    list(APPEND often src/llama-${name}.cpp)
  endforeach()
  cmake_language(DEFER CALL set_source_files_properties
    ${often} TARGET_DIRECTORY llama PROPERTIES COMPILE_OPTIONS -O3)
endif()
