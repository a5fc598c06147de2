"""Attribution methods: integrated gradients, saliency maps, Grad-CAM, attention rollout."""
