"""What a script defines: taken apart, told from others, made again where it is missing."""
