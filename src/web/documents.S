/* The documents as tools/embed-page has put them together, each with the policy that its style and
 * script need. They are found by the assembler's -I. */
	.section .note.GNU-stack, "", %progbits
	.section .rodata

	.macro document name
	.global document_\name\()_text, document_\name\()_policy
document_\name\()_text:
	.incbin "\name\().html"
	.byte 0
document_\name\()_policy:
	.incbin "\name\().policy"
	.byte 0
	.endm

	document clock
	document status
