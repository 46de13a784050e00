"""What the systems are called, and the papers that they are from."""

from typing import NamedTuple


class Paper(NamedTuple):
    """name: of the system. title: with authors, year and place. arxiv: the number there."""

    name: str
    title: str
    arxiv: str


_STACK = "StackGAN: Text to Photo-realistic Image Synthesis with Stacked Generative Adversarial"
_ATTN = "AttnGAN: Fine-Grained Text to Image Generation with Attentional Generative Adversarial"
PAPERS = {
    "gan_int_cls": Paper(
        "GAN-INT-CLS",
        "Reed et al., Generative Adversarial Text to Image Synthesis, ICML 2016",
        "1605.05396",
    ),
    "stack_gan_v1": Paper(
        "StackGAN, Stage I", f"Zhang et al., {_STACK} Networks, ICCV 2017", "1612.03242"
    ),
    "stack_gan_v1_stage2": Paper(
        "StackGAN, Stage II", f"Zhang et al., {_STACK} Networks, ICCV 2017", "1612.03242"
    ),
    "stack_gan_v2": Paper(
        "StackGAN-v2",
        "Zhang et al., StackGAN++: Realistic Image Synthesis with Stacked Generative Adversarial "
        "Networks, TPAMI 2019",
        "1710.10916",
    ),
    "attn_gan": Paper("AttnGAN", f"Xu et al., {_ATTN} Networks, CVPR 2018", "1711.10485"),
    "dm_gan": Paper(
        "DM-GAN",
        "Zhu et al., DM-GAN: Dynamic Memory Generative Adversarial Networks for Text-to-Image "
        "Synthesis, CVPR 2019",
        "1904.01310",
    ),
    "dr_gan": Paper(
        "DR-GAN",
        "Tan et al., DR-GAN: Distribution Regularization for Text-to-Image Generation, TNNLS 2023",
        "2204.07945",
    ),
    "df_gan": Paper(
        "DF-GAN",
        "Tao et al., DF-GAN: A Simple and Effective Baseline for Text-to-Image Synthesis, "
        "CVPR 2022",
        "2008.05865",
    ),
    "rat_gan": Paper(
        "RAT-GAN",
        "Ye et al., Recurrent Affine Transformation for Text-to-image Synthesis, TMM 2024",
        "2204.10482",
    ),
    "xmc_gan": Paper(
        "XMC-GAN",
        "Zhang et al., Cross-Modal Contrastive Learning for Text-to-Image Generation, CVPR 2021",
        "2101.04702",
    ),
}
