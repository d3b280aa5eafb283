// Package hsmtest gives tests a token of SoftHSM's, which is hardware in all but the hardware.
package hsmtest
