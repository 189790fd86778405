//! Matrix products over packed weights, as burn extension operations for Flex and CubeCL.
